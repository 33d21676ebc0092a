package chat_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/chat"
)

// An assistant knows the answers that were given while a message waited, and
// nothing that was said after it.
func TestWhatWasSaidBefore(t *testing.T) {
	begin := make(chan struct{})
	f := newFixture(t, chat.Options{History: 3}, func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
		<-begin
		var before []string
		for _, m := range turn.History {
			text, _, _ := strings.Cut(m.Text, ":")
			before = append(before, text)
		}
		return chat.Reply{Text: fmt.Sprintf("answer to %s: %s", turn.Message.Text, strings.Join(before, ", "))}, nil
	})
	room := f.room(ada)
	for _, text := range []string{"a", "b", "c"} {
		f.say(room, text, chat.None)
	}
	close(begin)
	for _, want := range []string{"answer to a: ", "answer to b: a, answer to a", "answer to c: b, answer to a, answer to b"} {
		if got := <-f.said; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
