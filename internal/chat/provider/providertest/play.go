package providertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// play sends a reply.
func (s *Server) play(w http.ResponseWriter, r *http.Request, in body, reply Reply) {
	w.Header().Set("Content-Type", "text/event-stream")
	for name, value := range reply.Headers {
		w.Header().Set(name, value)
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
	}
	if reply.Body != "" {
		io.WriteString(w, reply.Body)
		return
	}
	st := &stream{w: w, flush: http.NewResponseController(w), in: in, ctx: r.Context(), closed: s.closed}
	st.flush.Flush() // the client knows that there will be an answer
	for _, step := range reply.Steps {
		if !st.play(step) {
			return
		}
	}
}

// A stream is an answer that is being sent.
type stream struct {
	w      io.Writer
	flush  *http.ResponseController
	in     body
	ctx    context.Context
	closed chan struct{}
}

// play sends a step and reports whether the stream goes on.
func (s *stream) play(step Step) bool {
	if step.Tokens > 0 {
		for i := range step.Tokens {
			if !s.pause(step.Millis) || !s.play(Step{Text: word(i)}) {
				return false
			}
		}
		return true
	}
	if !s.pause(step.Millis) {
		return false
	}
	switch {
	case step.Text != "":
		return s.choice(map[string]any{"content": step.Text}, nil)
	case step.Call != nil:
		return s.call(*step.Call)
	case step.Finish != "":
		return s.choice(map[string]any{}, step.Finish)
	case step.Usage != nil:
		return !s.in.StreamOptions.IncludeUsage || s.event(map[string]any{"choices": []any{}, "usage": step.Usage})
	case step.Error != nil:
		return s.write(fmt.Sprintf("data: {\"error\": %s}\n\n", step.Error))
	case step.Raw != "":
		return s.write(step.Raw)
	case step.Done:
		return s.write("data: [DONE]\n\n")
	case step.Cut:
		panic(http.ErrAbortHandler)
	case step.Stall:
		return s.wait(nil)
	}
	return true
}

func word(i int) string {
	if i == 0 {
		return "w0"
	}
	return fmt.Sprintf(" w%d", i)
}

func (s *stream) call(c Call) bool {
	function := map[string]any{}
	if c.Name != "" {
		function["name"] = c.Name
	}
	if c.Arguments != "" {
		function["arguments"] = c.Arguments
	}
	call := map[string]any{"function": function}
	if c.Index != nil {
		call["index"] = *c.Index
	}
	if c.ID != "" {
		call["id"], call["type"] = c.ID, "function"
	}
	return s.choice(map[string]any{"tool_calls": []any{call}}, nil)
}

// choice sends a chunk of the one choice that there is.
func (s *stream) choice(delta map[string]any, finish any) bool {
	return s.event(map[string]any{
		"choices": []any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}, "usage": nil,
	})
}

func (s *stream) event(chunk map[string]any) bool {
	chunk["id"], chunk["object"], chunk["created"], chunk["model"] = "chatcmpl-1", "chat.completion.chunk", 1, s.in.Model
	raw, _ := json.Marshal(chunk) // made of texts and numbers
	return s.write(fmt.Sprintf("data: %s\n\n", raw))
}

func (s *stream) write(text string) bool {
	_, err := io.WriteString(s.w, text)
	return err == nil && s.flush.Flush() == nil
}

func (s *stream) pause(millis int) bool {
	if millis <= 0 {
		return true
	}
	t := time.NewTimer(time.Duration(millis) * time.Millisecond)
	defer t.Stop()
	return s.wait(t.C)
}

// wait waits for a time, and reports whether it came before the end.
func (s *stream) wait(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	case <-s.ctx.Done():
	case <-s.closed:
	}
	return false
}
