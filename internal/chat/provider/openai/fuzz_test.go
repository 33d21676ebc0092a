package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// answering is a transport that answers with the same bytes each time.
type answering struct {
	body  []byte
	split bool // byte by byte
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	var r io.Reader = bytes.NewReader(a.body)
	if a.split {
		r = iotest.OneByteReader(r)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(r)}, nil
}

func asking(t testing.TB, transport http.RoundTripper) *Provider {
	o := Options{URL: "http://host", FirstTokenTimeout: 10 * time.Second}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	p.door.client.Transport = transport
	return p
}

// Whatever comes, the answer is sound: it is what was streamed, its tool calls
// can be called, and an error has a kind.
func FuzzStream(f *testing.F) {
	for _, s := range []string{
		"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"x\",\"arguments\":\"{\"}}]}}]}\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"x\",\"arguments\":{}}}]},\"finish_reason\":\"length\"}]}",
		"data: {\"error\":{\"code\":\"x\"}}\n\n", "data: {\"error\":\"x\"}\n\ndata: {}\n\n", "{\"error\":{}}\n", ": c\n\ndata:\n\n", "data: {\"choi", "data: null\ndata: 7\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, split bool) {
		p := asking(t, answering{raw, split})
		var text strings.Builder
		answer, err := p.Stream(t.Context(), provider.Request{Model: "m", Messages: []provider.Message{{Role: provider.User, Text: "q"}}}, func(s string) error {
			text.WriteString(s)
			return nil
		})
		if _, ok := errors.AsType[*provider.Error](err); err != nil && (!ok || answer.Finish != "" || answer.ToolCalls != nil) || err == nil && answer.Finish == "" {
			t.Errorf("%+v %v", answer, err)
		}
		if answer.Text != text.String() || !utf8.ValidString(answer.Text) || strings.Contains(answer.Text, "\x00") || answer.Usage.Prompt < 0 || answer.Usage.Completion < 0 {
			t.Errorf("%+v, streamed %q", answer, text.String())
		}
		ids := map[string]bool{}
		for _, c := range answer.ToolCalls {
			var args map[string]any
			if c.ID == "" || ids[c.ID] || c.Name == "" || json.Unmarshal(c.Arguments, &args) != nil {
				t.Errorf("%+v", answer.ToolCalls)
			}
			ids[c.ID] = true
		}
	})
}
