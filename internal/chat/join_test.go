package chat

import (
	"context"
	"runtime"
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
		got, want := decode[events.AIChatBotStreamDelta](join([]Entry{tt.a, tt.b})), decode[events.AIChatBotStreamDelta](tt.want)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// entries is a store that has a stream.
type entries struct {
	Store
	all []Entry
}

func (s entries) Stream(context.Context, string, uint64, uint64) ([]Entry, error) { return s.all, nil }

// What it takes to join in the middle of an answer grows with the answer, not
// with its square.
func TestJoiningLongAnswer(t *testing.T) {
	var all []Entry
	for i := range 5000 {
		e := payload(Delta, 1, events.AIChatBotStreamDelta{At: 20 * i, Text: "twenty bytes of text"})
		e.Seq = uint64(i + 1)
		all = append(all, e)
	}
	svc := NewService(Options{Store: entries{all: all}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := svc.Streamed(t.Context(), "room", 0, 5000)
	runtime.ReadMemStats(&after)
	if err != nil || len(got) != 1 || got[0].Seq != 5000 || got[0].Prev != 0 || len(decode[events.AIChatBotStreamDelta](got[0]).Text) != 100_000 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 20<<20 {
		t.Errorf("100 KB of text took %d MB", took>>20)
	}
}
