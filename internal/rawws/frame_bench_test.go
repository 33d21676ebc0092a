package rawws

import (
	"strings"
	"testing"
)

// What every frame costs before its dialect acts on it.
func BenchmarkFrame(b *testing.B) {
	for _, f := range []struct{ name, text string }{
		{"genesis", `{"type":"subscribe","payload":{"channels":["workflow:wf-123","sync:user-456"]},"timestamp":1730000000000}`},
		{"service", `{"type":"chat_message","data":{"conversation_id":"c","content":"Hello, I need help with my order"}}`},
		{"meet", `{"type":"signal","payload":{"room_id":"r","target_id":"t","signal_type":"offer","signal_data":{"sdp":"` + strings.Repeat("a=candidate 1", 300) + `"}}}`},
	} {
		raw := []byte(f.text)
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f := parseFrame(raw)
				judge(f).dialect()
				switch f.kind {
				case "subscribe":
					channelsOf(f)
				case "chat_message":
					textIn(f, "conversation_id")
					textIn(f, "content")
				case "signal":
					decodeMeet(f)
				}
			}
		})
	}
}
