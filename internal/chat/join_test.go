package chat

import (
	"testing"

	"github.com/roomcast/roomcast/events"
)

// Pieces that follow each other are one, also when what was said is taken back.
func TestJoin(t *testing.T) {
	piece := func(at int, text string) Entry {
		return payload(Delta, 1, events.AIChatBotStreamDelta{At: at, Text: text})
	}
	for _, tt := range []struct {
		a, b, want Entry
	}{
		{piece(0, "a"), piece(1, "b"), piece(0, "ab")},
		{piece(0, "𝄞ü"), piece(3, "b"), piece(0, "𝄞üb")},
		{piece(0, "𝄞ü"), piece(2, "b"), piece(0, "𝄞b")},
		{piece(0, "secret"), piece(0, "no"), piece(0, "no")},
		{piece(5, "secret"), piece(0, "no"), piece(0, "no")},
		{piece(5, "secret"), piece(7, "no"), piece(5, "seno")},
	} {
		got, want := decode[events.AIChatBotStreamDelta](join(tt.a, tt.b)), decode[events.AIChatBotStreamDelta](tt.want)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
