package provider

import (
	"encoding/json"
	"fmt"
)

// Check reports what is wrong with a request, as an [*Error] of the kind
// [BadRequest].
func (r Request) Check() error {
	if len(r.Messages) == 0 {
		return bad("the conversation has no messages")
	}
	if r.MaxTokens < 0 {
		return bad("the limit of tokens, %d, is negative", r.MaxTokens)
	}
	if t := r.Temperature; t != nil && !(*t >= 0 && *t <= 2) { // not a number is neither
		return bad("the temperature %v is not between 0 and 2", *t)
	}
	for i, m := range r.Messages {
		if err := m.check(); err != nil {
			return bad("message %d %v", i+1, err)
		}
	}
	for i, t := range r.Tools {
		if t.Name == "" {
			return bad("tool %d has no name", i+1)
		}
		if len(t.Parameters) > 0 && !json.Valid(t.Parameters) {
			return bad("the parameters of tool %s are not JSON", t.Name)
		}
	}
	return nil
}

func (m Message) check() error {
	switch m.Role {
	case User, Assistant:
		if m.ToolCallID != "" {
			return fmt.Errorf("is the result of a tool and its role is %s", m.Role)
		}
	case ToolRole:
		if m.ToolCallID == "" {
			return fmt.Errorf("is of a tool and does not say of which call")
		}
	default:
		return fmt.Errorf("has the role %q, which is not one of %s, %s, %s", m.Role, User, Assistant, ToolRole)
	}
	if len(m.ToolCalls) > 0 && m.Role != Assistant {
		return fmt.Errorf("has tool calls and its role is %s", m.Role)
	}
	for _, c := range m.ToolCalls {
		if c.ID == "" || c.Name == "" || !json.Valid(c.Arguments) {
			return fmt.Errorf("has a tool call without an id, a name or arguments in JSON")
		}
	}
	return nil
}

func bad(format string, args ...any) error {
	return &Error{Kind: BadRequest, Text: fmt.Sprintf(format, args...)}
}
