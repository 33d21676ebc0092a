package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/accounts"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/store"
)

func account(tenant string) accounts.Account {
	return accounts.Account{ID: uuid.NewString(), Tenant: tenant, Lookup: uuid.NewString(), Checksum: "slow$1$a$b", Name: "Tom ☕", Prompt: "juste le boss", Token: "t1", CreatedAt: now}
}

func accountRows(t *testing.T, s store.Accounts) {
	ctx := t.Context()
	tenant := uuid.NewString()
	a := account(tenant)
	check(t, s.CreateAccount(ctx, a, 2))
	got, err := s.AccountByLookup(ctx, tenant, a.Lookup)
	check(t, err)
	same(t, got, a)
	_, err = s.AccountByLookup(ctx, "other", a.Lookup)
	is(t, err, accounts.ErrNotFound)
	_, err = s.Account(ctx, "nobody")
	is(t, err, accounts.ErrNotFound)

	twin := account(tenant)
	twin.Lookup = a.Lookup
	is(t, s.CreateAccount(ctx, twin, 2), accounts.ErrTaken)
	twin.Tenant = uuid.NewString()
	check(t, s.CreateAccount(ctx, twin, 2))
	check(t, s.CreateAccount(ctx, account(tenant), 2))
	is(t, s.CreateAccount(ctx, account(tenant), 2), accounts.ErrFull)

	check(t, s.SetToken(ctx, a.ID, "t2"))
	is(t, s.SetToken(ctx, "nobody", "t2"), accounts.ErrNotFound)
	is(t, s.DropToken(ctx, a.ID, "t1"), accounts.ErrNotFound)
	check(t, s.DropToken(ctx, a.ID, "t2"))
	is(t, s.DropToken(ctx, a.ID, ""), accounts.ErrNotFound)
	got, err = s.Account(ctx, a.ID)
	check(t, err)
	same(t, got.Token, "")

	// Of many who register with one checksum one does.
	var all sync.WaitGroup
	var mu sync.Mutex
	made, lookup := 0, uuid.NewString()
	for range 8 {
		all.Go(func() {
			b := account(twin.Tenant)
			b.Lookup = lookup
			err := s.CreateAccount(ctx, b, 100)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else {
				is(t, err, accounts.ErrTaken)
			}
		})
	}
	all.Wait()
	same(t, made, 1)
}

func accountTurns(t *testing.T, db *store.DB) {
	ctx := t.Context()
	s, a := db.Accounts(), account(uuid.NewString())
	check(t, s.CreateAccount(ctx, a, 1))
	take := func(holder string, ttl time.Duration) bool {
		t.Helper()
		mine, err := s.TakeTurn(ctx, a.ID, holder, ttl)
		check(t, err)
		return mine
	}
	one, two := alive(t, db), alive(t, db)
	same(t, []bool{take(one, time.Hour), take(two, time.Hour), take(one, time.Hour)}, []bool{true, false, true})
	check(t, s.EndTurn(ctx, a.ID, one, nil, 3))
	same(t, take(two, -time.Second), true) // and could not give it back
	same(t, take(one, time.Hour), true)
	is(t, s.EndTurn(ctx, a.ID, two, &accounts.Exchange{Message: "late"}, 3), accounts.ErrLost)
	check(t, s.EndTurn(ctx, a.ID, one, nil, 3))
	same(t, take(two, time.Hour), true)
	check(t, db.Instances().Renew(ctx, two, -time.Millisecond)) // and died
	same(t, take(one, time.Hour), true)
	is(t, s.EndTurn(ctx, a.ID, two, &accounts.Exchange{Message: "late"}, 3), accounts.ErrLost)
	check(t, s.EndTurn(ctx, a.ID, one, nil, 3))

	var said []accounts.Exchange
	for i := range 5 {
		x := accounts.Exchange{Message: fmt.Sprint("m", i), Answer: "ä", At: now.Add(time.Duration(i) * time.Second)}
		said = append(said, x)
		x.Prompt, x.Completion = 10, i
		same(t, take(one, time.Hour), true)
		check(t, s.EndTurn(ctx, a.ID, one, &x, 3))
	}
	got, err := s.Exchanges(ctx, a.ID, 10)
	check(t, err)
	same(t, got, said[2:])
	got, err = s.Exchanges(ctx, a.ID, 1)
	check(t, err)
	same(t, got, said[4:])
	used, err := db.Chats().Used(ctx, a.Tenant, now)
	check(t, err)
	same(t, used, chat.Usage{Prompt: 50, Completion: 10})
	// No history is none.
	same(t, take(one, time.Hour), true)
	check(t, s.EndTurn(ctx, a.ID, one, &said[0], 0))
	got, err = s.Exchanges(ctx, a.ID, 10)
	check(t, err)
	same(t, len(got), 0)
	got, err = s.Exchanges(ctx, a.ID, 0)
	check(t, err)
	same(t, len(got), 0)
}
