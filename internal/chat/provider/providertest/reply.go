package providertest

import (
	"encoding/json"
	"strings"
)

// A Reply is what the [Server] does with one request: it sends a body, or a
// stream of steps. Its zero value is an empty stream.
type Reply struct {
	// Status is 200 if it is 0.
	Status int `json:"status,omitempty"`
	// Headers replace those that the server sends.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is sent as it is, instead of a stream.
	Body  string `json:"body,omitempty"`
	Steps []Step `json:"steps,omitempty"`
}

// A Step is one thing that happens in a stream; of its fields one is set,
// besides Millis.
type Step struct {
	// Text is a token.
	Text string `json:"text,omitempty"`
	// Tokens are as many, "w0 w1 w2 …".
	Tokens int `json:"tokens,omitempty"`
	// Call is a piece of a tool call.
	Call *Call `json:"call,omitempty"`
	// Finish is a finish reason.
	Finish string `json:"finish,omitempty"`
	Usage  *Usage `json:"usage,omitempty"`
	// Error is an error object.
	Error json.RawMessage `json:"error,omitempty"`
	// Raw is sent as it is.
	Raw string `json:"raw,omitempty"`
	// Done is the end of a stream.
	Done bool `json:"done,omitempty"`
	// Cut breaks the connection.
	Cut bool `json:"cut,omitempty"`
	// Stall waits until the client is gone or the server is closed.
	Stall bool `json:"stall,omitempty"`
	// Millis is a pause before the step, of Tokens before each.
	Millis int `json:"millis,omitempty"`
}

// A Call is a piece of a tool call.
type Call struct {
	Index     *int   `json:"index,omitempty"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
}

// Usage is in tokens.
type Usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
}

// Stream is a reply of steps.
func Stream(steps ...Step) Reply { return Reply{Steps: steps} }

// Answer is a reply as a model gives it: a text word by word, with usage.
func Answer(text string) Reply {
	var steps []Step
	for _, word := range strings.SplitAfter(text, " ") {
		if word != "" {
			steps = append(steps, Step{Text: word})
		}
	}
	return Stream(append(steps, end("stop", len(steps))...)...)
}

// Tokens is an answer of n tokens, one every so many milliseconds.
func Tokens(n, millis int) Reply {
	return Stream(append([]Step{{Tokens: n, Millis: millis}}, end("stop", n)...)...)
}

// CallTool is a reply that asks for a tool.
func CallTool(id, name, arguments string) Reply {
	index := 0
	return Stream(append([]Step{{Call: &Call{Index: &index, ID: id, Name: name, Arguments: arguments}}}, end("tool_calls", 1)...)...)
}

func end(finish string, tokens int) []Step {
	return []Step{{Finish: finish}, {Usage: &Usage{Prompt: 7, Completion: tokens}}, {Done: true}}
}

// Failure is a reply with a status and an error object of a code.
func Failure(status int, code string) Reply {
	body, _ := json.Marshal(map[string]any{"error": map[string]any{
		"message": "a message that quotes the prompt and " + Secret, "type": "test_error", "code": code,
	}})
	return Reply{Status: status, Headers: map[string]string{"Content-Type": "application/json"}, Body: string(body)}
}

// Secret is in the messages of errors; whoever shows it has shown too much.
const Secret = "sk-SECRET"
