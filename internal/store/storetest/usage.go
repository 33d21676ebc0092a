package storetest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/store"
)

// usage is counted for a tenant and a day, once for each answer, and messages
// whose answers were refused are marked.
func usage(t *testing.T, s store.Chats) {
	tenant, room := uuid.NewString(), uuid.NewString()
	check(t, s.CreateRoom(t.Context(), chat.Room{ID: room, Tenant: tenant, Owner: "ada", At: now}))
	finishes := []chat.Finish{chat.FinishStop, chat.FinishRefused, chat.FinishStopped}
	for i, finish := range finishes {
		said, err := s.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, At: now}, 100)
		check(t, err)
		end := chat.Entry{Seq: uint64(i + 1), Turn: said.Seq, Kind: chat.StreamEnd, Data: []byte(`{}`), At: now}
		answer := chat.Message{RoomID: room, Speaker: chat.Bot, Finish: finish, At: now.Add(time.Duration(i/2) * 24 * time.Hour)}
		for range 2 { // the second time is somebody who did not hear of the first
			_, err = s.Answer(t.Context(), said, answer, end, chat.Aftermath{Tenant: tenant, Usage: chat.Usage{Prompt: 10, Completion: 1 << i}})
			check(t, err)
		}
	}
	check(t, s.AddUsage(t.Context(), tenant, now, chat.Usage{Prompt: 1, Completion: 100})) // of no answer
	for days, want := range []chat.Usage{{Prompt: 21, Completion: 103}, {Prompt: 10, Completion: 4}, {}} {
		got, err := s.Used(t.Context(), tenant, now.Add(time.Duration(days)*24*time.Hour))
		check(t, err)
		if got != want {
			t.Errorf("after %d days %+v, want %+v", days, got, want)
		}
	}
	messages, err := s.Messages(t.Context(), room, 0, 100)
	check(t, err)
	for _, m := range messages {
		want := finishes[(m.Seq-1)/2]
		if m.Speaker == chat.User && want != chat.FinishRefused {
			want = ""
		}
		if m.Finish != want {
			t.Errorf("message %d of %s has the finish %q, want %q", m.Seq, m.Speaker, m.Finish, want)
		}
	}
}
