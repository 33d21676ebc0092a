package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/internal/store"
)

func keys(t *testing.T, s store.Identity) {
	ctx := t.Context()
	tenant := uuid.NewString()
	_, prefix, sum := auth.NewAPIKey()
	k := identity.Key{ID: uuid.NewString(), Name: "ci", Prefix: prefix, SHA256: sum, User: "robot", Tenant: tenant, Role: auth.Admin, CreatedBy: "ada", CreatedAt: now}
	check(t, s.CreateKey(ctx, k))
	got, err := s.Key(ctx, k.ID)
	check(t, err)
	same(t, got, k)
	// Prefixes are short: two keys may share one.
	other := k
	other.ID, other.CreatedAt = uuid.NewString(), now.Add(time.Second)
	check(t, s.CreateKey(ctx, other))
	all, err := s.Keys(ctx, tenant)
	check(t, err)
	same(t, all, []identity.Key{k, other})

	any, err := s.AnyKey(ctx)
	check(t, err)
	same(t, any, true)
	check(t, s.DisableKey(ctx, k.ID, now))
	is(t, s.DisableKey(ctx, "nobody", now), identity.ErrNotFound)
	found, err := s.KeysByPrefix(ctx, prefix)
	check(t, err)
	disabled := 0
	for _, f := range found {
		if f.Disabled {
			disabled++
		}
		same(t, f.SHA256, sum)
	}
	same(t, []int{len(found), disabled}, []int{2, 1})
	got, err = s.Key(ctx, k.ID)
	check(t, err)
	k.DisabledAt = new(time.Time)
	*k.DisabledAt = now
	same(t, got, k)
	_, err = s.Key(ctx, "nobody")
	is(t, err, identity.ErrNotFound)
}

// revocations are numbered without gaps, whoever writes at the same time, so
// that readers who go on after the last they have seen miss none.
func revocations(t *testing.T, s store.Identity) {
	ctx := t.Context()
	before, err := s.Revocations(ctx, 0)
	check(t, err)
	last := int64(len(before))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := s.AddRevocation(ctx, identity.Revocation{Kind: identity.RevokeUser, ID: "ada", At: now, By: "ops", Reason: "lost"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	fresh, err := s.Revocations(ctx, last)
	check(t, err)
	same(t, len(fresh), 20)
	for i, r := range fresh {
		same(t, r, identity.Revocation{Seq: last + int64(i) + 1, Kind: identity.RevokeUser, ID: "ada", At: now, By: "ops", Reason: "lost"})
	}
}
