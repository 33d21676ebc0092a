package storetest

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/internal/store"
)

// Shared runs the part of the suite that needs two who have opened the same
// database, as two instances have.
func Shared(t *testing.T, a, b *store.DB) {
	t.Run("conversation", func(t *testing.T) { conversation(t, a, b) })
	t.Run("revocations", func(t *testing.T) { sharedRevocations(t, a, b) })
	t.Run("run writers", func(t *testing.T) { runWriters(t, a, b) })
	t.Run("one run of many", func(t *testing.T) { createOnce(t, a, b) })
	t.Run("takeovers", func(t *testing.T) { takeovers(t, a, b) })
	t.Run("meetings", func(t *testing.T) { meetingCrowds(t, a, b) })
	t.Run("approvals", func(t *testing.T) { sharedApproval(t, a, b) })
}

// both calls fn n times for each database, in several goroutines.
func both(n int, a, b *store.DB, fn func(db *store.DB)) {
	var all sync.WaitGroup
	for _, db := range []*store.DB{a, b, a, b} {
		all.Go(func() {
			for range n / 2 {
				fn(db)
			}
		})
	}
	all.Wait()
}

// conversation makes both say something in one room: every message has a
// number of its own, and none is left out.
func conversation(t *testing.T, a, b *store.DB) {
	const n = 50
	room := newChat(t, a.Chats())
	seen := make(map[uint64]bool)
	var mu sync.Mutex
	both(n, a, b, func(db *store.DB) {
		m, err := db.Chats().Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.Bot, At: now}, 100)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if seen[m.Seq] || m.Seq < 1 || m.Seq > 2*n {
			t.Errorf("a message got the number %d", m.Seq)
		}
		seen[m.Seq] = true
	})
	same(t, len(seen), 2*n)
}

func sharedRevocations(t *testing.T, a, b *store.DB) {
	before, err := a.Identity().Revocations(t.Context(), 0)
	check(t, err)
	both(20, a, b, func(db *store.DB) {
		if err := db.Identity().AddRevocation(t.Context(), identity.Revocation{Kind: identity.RevokeUser, ID: "ada", At: now}); err != nil {
			t.Error(err)
		}
	})
	fresh, err := b.Identity().Revocations(t.Context(), int64(len(before)))
	check(t, err)
	same(t, len(fresh), 40)
	for i, r := range fresh {
		same(t, r.Seq, int64(len(before)+i+1))
	}
}

func sharedApproval(t *testing.T, a, b *store.DB) {
	room := uuid.NewString()
	want := pending(room, "T", now)
	propose(t, a.Chats(), want)
	var mu sync.Mutex
	taken := 0
	both(2, a, b, func(db *store.DB) {
		_, mine, err := db.Chats().DecideApproval(t.Context(), want.ID, chat.Decision{Status: chat.Rejected, By: "ada", At: now})
		check(t, err)
		mu.Lock()
		defer mu.Unlock()
		if mine {
			taken++
		}
	})
	same(t, taken, 1)
}
