package openai

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// maxCalls are tool calls of one answer.
const maxCalls = 128

// unnamed stands for a tool that was not named.
const unnamed = "unnamed"

// A callDelta is a piece of a tool call.
type callDelta struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
}

// arguments are a piece of JSON in a string; some servers send the object.
type arguments string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *arguments) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(a))
	}
	if string(raw) != "null" {
		*a = arguments(raw)
	}
	return nil
}

type call struct {
	index    int
	id, name string
	args     strings.Builder
}

// calls puts tool calls together from their pieces. The pieces of a call have
// the same index. Servers that give every call the index 0, or none, tell calls
// apart by ids, or at least by beginning each with a name.
type calls []*call

func (cs *calls) add(d callDelta) error {
	c := cs.find(d)
	if c == nil {
		if len(*cs) == maxCalls {
			return malformed(fmt.Sprintf("the language model asked for more than %d tools at once", maxCalls))
		}
		c = &call{index: len(*cs)}
		if d.Index != nil {
			c.index = *d.Index
		}
		*cs = append(*cs, c)
	}
	if repeated := d.ID != "" && d.ID == c.id && d.Function.Name == c.name; !repeated {
		c.name += d.Function.Name
	}
	if d.ID != "" {
		c.id = d.ID
	}
	c.args.WriteString(string(d.Function.Arguments))
	return nil
}

// find returns the call that a piece belongs to, or nil if it begins one.
func (cs calls) find(d callDelta) *call {
	for _, c := range slices.Backward(cs) {
		switch {
		case d.Index != nil && c.index != *d.Index:
		case d.ID != "" && c.id != "":
			if d.ID == c.id {
				return c
			}
		case d.Index == nil && d.Function.Name != "" && c.args.Len() > 0:
			return nil
		default:
			return c
		}
	}
	return nil
}

// finish returns the calls by index. Those that were cut short by the limit of
// tokens are left out.
func (cs calls) finish(cut bool) []provider.ToolCall {
	slices.SortStableFunc(cs, func(a, b *call) int { return a.index - b.index })
	var list []provider.ToolCall
	ids := map[string]bool{}
	for i, c := range cs {
		args := strings.TrimSpace(c.args.String())
		if args == "" || args == "null" {
			args = "{}"
		}
		broken := c.name == "" || args[0] != '{' || !json.Valid([]byte(args))
		switch {
		case broken && cut:
			continue
		case broken:
			args = "{}"
		}
		if c.name == "" {
			c.name = unnamed
		}
		for n := i; c.id == "" || ids[c.id]; n++ {
			c.id = fmt.Sprintf("call_%d", n)
		}
		ids[c.id] = true
		list = append(list, provider.ToolCall{ID: c.id, Name: c.name, Arguments: json.RawMessage(args), Broken: broken})
	}
	return list
}
