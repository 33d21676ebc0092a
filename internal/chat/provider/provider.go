// Package provider is what answers conversations: one interface, what goes in
// and what comes out, and a set of models with names. It knows nothing of rooms,
// users and turns.
package provider

import (
	"context"
	"encoding/json"
)

// A Provider answers conversations. Its methods may be called concurrently.
type Provider interface {
	// Stream answers a conversation. Text comes through emit as it is produced,
	// from the goroutine of the caller; the response has all of it.
	//
	// When ctx ends, emit returns an error or the provider fails, Stream returns
	// promptly, with what was produced until then: the text that went through
	// emit, no tool calls, no finish reason, and the usage. The error is then
	// that of ctx, that of emit, or an [*Error].
	Stream(ctx context.Context, r Request, emit func(text string) error) (Response, error)
}

// A Request is a conversation that waits for an answer.
type Request struct {
	// Model is the name of a model; what names there are is up to the provider.
	Model string
	// System says how to answer; it may be empty.
	System   string
	Messages []Message
	// Tools are what the model may ask to be called.
	Tools []Tool
	// MaxTokens bounds the answer; 0 is the model's own bound.
	MaxTokens int
	// Temperature is from 0 to 2; nil is the model's own.
	Temperature *float64
	// User tells users apart without naming them, see [HashUser]; it may be empty.
	User string
}

// Role is who said a message.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	ToolRole  Role = "tool"
)

// A Message is one of a conversation.
type Message struct {
	Role Role
	Text string
	// ToolCalls are what the assistant asked for in this message.
	ToolCalls []ToolCall
	// ToolCallID says which call a message of a tool is the result of.
	ToolCallID string
}

// A Tool is something that the model may ask to be called.
type Tool struct {
	Name, Description string
	// Parameters is a JSON Schema of an object; empty is no parameters.
	Parameters json.RawMessage
}

// A ToolCall is what the model asks for. Its ID is not empty and unlike those of
// the other calls of the same answer, it has a name, and its arguments are a
// JSON object.
type ToolCall struct {
	ID, Name  string
	Arguments json.RawMessage
	// Broken tells that the model said something else: it named no tool, or its
	// arguments, which are {} here, were no object. Only the model can mend that.
	Broken bool
}

// FinishReason is why an answer is over.
type FinishReason string

// The reasons. An answer that was interrupted has none.
const (
	Stop          FinishReason = "stop"
	Length        FinishReason = "length"
	ToolCalls     FinishReason = "tool_calls"
	ContentFilter FinishReason = "content_filter"
)

// A Response is an answer, or what there is of it.
type Response struct {
	Text      string
	ToolCalls []ToolCall
	Finish    FinishReason
	Usage     Usage
	// Model is who answered.
	Model string
}

// Usage is in tokens.
type Usage struct {
	Prompt, Completion int
	// Estimated is set if the provider did not say, see [Estimate].
	Estimated bool
}
