package openai

import (
	"encoding/json"
	"errors"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// A chunk is what is needed of an event of a stream.
type chunk struct {
	Model   string          `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   *usage          `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

type choice struct {
	Index  int    `json:"index"`
	Delta  delta  `json:"delta"`
	Finish string `json:"finish_reason"`
}

type delta struct {
	Content   string      `json:"content"`
	Refusal   string      `json:"refusal"`
	ToolCalls []callDelta `json:"tool_calls"`
	// What models think is not told, but shows that they do something.
	Reasoning        string `json:"reasoning"`
	ReasoningContent string `json:"reasoning_content"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
}

// maxTokens is more than any answer takes: numbers beyond it could not be added
// up.
const maxTokens = 1 << 32

// sound reports whether the usage can be one.
func (u usage) sound() bool {
	return u != usage{} && u.Prompt >= 0 && u.Completion >= 0 && u.Prompt <= maxTokens && u.Completion <= maxTokens
}

// token reports whether the delta is one, of whatever sort.
func (d delta) token() bool {
	return d.Content != "" || d.Refusal != "" || len(d.ToolCalls) > 0 || d.Reasoning != "" || d.ReasoningContent != ""
}

// decode decodes an event. Bytes that are not UTF-8 become U+FFFD.
func decode(raw []byte) (chunk, error) {
	if len(raw) == 0 { // the library's way of saying that it read an error it does not understand
		return chunk{}, newReport(nil, nil).failure()
	}
	var c chunk
	err := json.Unmarshal(raw, &c)
	if err != nil {
		if s, ok := errors.AsType[*json.SyntaxError](err); ok && s.Error() == "unexpected end of JSON input" {
			return chunk{}, brokeOff(err) // half a line
		}
		return chunk{}, malformed("the language model sent something that cannot be understood")
	}
	if e := parseErrorObject(c.Error); e.given {
		return chunk{}, e.failure()
	}
	return c, nil
}

// finish maps the reasons that there are in the wild to ours.
func finish(reason string) provider.FinishReason {
	switch reason {
	case "length", "max_tokens":
		return provider.Length
	case "tool_calls", "function_call":
		return provider.ToolCalls
	case "content_filter":
		return provider.ContentFilter
	}
	return provider.Stop
}
