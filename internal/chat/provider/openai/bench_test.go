package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/sashabaranov/go-openai"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

const benchTokens = 500

// benchStream is a stream as OpenAI sends it.
func benchStream() []byte {
	var b bytes.Buffer
	for i := range benchTokens {
		fmt.Fprintf(&b, `data: {"id":"chatcmpl-abc123456789","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n", i)
	}
	b.WriteString(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
	return b.Bytes()
}

// BenchmarkStream compares what a token costs: through the provider, through the
// library alone with its own types, and with the lines read by hand.
func BenchmarkStream(b *testing.B) {
	raw := benchStream()
	p := asking(b, answering{body: raw})
	run := func(name string, stream func(*testing.B) int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := stream(b); n < benchTokens {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchTokens, "ns/token")
		})
	}
	request := provider.Request{Model: "m", Messages: []provider.Message{{Role: provider.User, Text: "q"}}}
	run("provider", func(b *testing.B) (n int) {
		if _, err := p.Stream(b.Context(), request, func(string) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		return n
	})
	run("library", func(b *testing.B) (n int) {
		s, err := p.client.CreateChatCompletionStream(b.Context(), openai.ChatCompletionRequest{Model: "m"})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		for {
			c, err := s.Recv()
			if err != nil {
				return n
			}
			n += len(c.Choices)
		}
	})
	run("by hand", func(b *testing.B) (n int) {
		for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
			data, ok := bytes.CutPrefix(s.Bytes(), []byte("data: "))
			if !ok || string(data) == "[DONE]" {
				continue
			}
			var c chunk
			if err := json.Unmarshal(data, &c); err != nil {
				b.Fatal(err)
			}
			n += len(c.Choices)
		}
		return n
	})
}
