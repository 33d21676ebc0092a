package identity

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// memory is a store.
type memory struct {
	mu   sync.Mutex
	keys map[string]Key
	log  []Revocation
	fail error
}

func newMemory() *memory { return &memory{keys: make(map[string]Key)} }

func (m *memory) CreateKey(_ context.Context, k Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[k.ID] = k
	return m.fail
}

func (m *memory) Key(_ context.Context, id string) (Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok {
		return k, ErrNotFound
	}
	return k, m.fail
}

func (m *memory) Keys(_ context.Context, tenant string) (list []Key, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		if k.Tenant == tenant {
			list = append(list, k)
		}
	}
	return list, m.fail
}

func (m *memory) KeysByPrefix(context.Context, string) ([]auth.APIKey, error) { return nil, nil }
func (m *memory) AnyKey(context.Context) (bool, error)                        { return len(m.keys) > 0, nil }

func (m *memory) DisableKey(_ context.Context, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.keys[id]
	k.DisabledAt = &at
	m.keys[id] = k
	return m.fail
}

func (m *memory) AddRevocation(_ context.Context, r Revocation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Seq = int64(len(m.log) + 1)
	m.log = append(m.log, r)
	return m.fail
}

func (m *memory) Revocations(_ context.Context, after int64) ([]Revocation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log[after:]), m.fail
}

var (
	quiet    = slog.New(slog.NewTextHandler(io.Discard, nil))
	admin    = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}
	member   = &auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	operator = &auth.Identity{User: "ops", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}, Permissions: []auth.Permission{auth.Operate}}
)

func code(err error) events.Code {
	var e *events.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestKeys(t *testing.T) {
	m := newMemory()
	revocations := NewRevocations(m, quiet)
	keys := NewKeys(m, revocations)
	secret, key, err := keys.Create(t.Context(), admin, "acme", NewKey{Name: "ci"})
	if err != nil || len(secret) != 64 || key.User != "ada" || key.Role != auth.Member || key.CreatedBy != "ada" || secret[:8] != key.Prefix {
		t.Fatalf("%q %+v %v", secret, key, err)
	}
	if _, other, err := keys.Create(t.Context(), operator, "acme", NewKey{Name: "ci", User: "robot", Role: auth.Admin}); err != nil || other.User != "robot" {
		t.Errorf("an operator makes a key for another: %+v %v", other, err)
	}
	long := make([]byte, 129)
	for name, tt := range map[string]struct {
		id     *auth.Identity
		tenant string
		n      NewKey
		code   events.Code
	}{
		"member":         {member, "acme", NewKey{Name: "ci"}, events.CodePermissionDenied},
		"foreign":        {admin, "other", NewKey{Name: "ci"}, events.CodeNotFound},
		"for another":    {admin, "acme", NewKey{Name: "ci", User: "bob"}, events.CodePermissionDenied},
		"no name":        {admin, "acme", NewKey{}, events.CodeValidation},
		"long name":      {admin, "acme", NewKey{Name: string(long)}, events.CodeValidation},
		"unknown role":   {admin, "acme", NewKey{Name: "ci", Role: "KING"}, events.CodeValidation},
		"very long user": {operator, "acme", NewKey{Name: "ci", User: string(long)}, events.CodeValidation},
	} {
		if _, _, err := keys.Create(t.Context(), tt.id, tt.tenant, tt.n); code(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := keys.List(t.Context(), admin, "acme"); err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
	for _, id := range []*auth.Identity{member, admin} {
		if _, err := keys.List(t.Context(), id, "other"); code(err) != events.CodeNotFound {
			t.Errorf("a foreign tenant's: %v", err)
		}
	}
	using := &auth.Identity{User: "ada", Method: auth.MethodAPIKey, Credential: key.ID}
	for name, err := range map[string]error{
		"foreign": func() error { _, err := keys.Disable(t.Context(), operator, "other", key.ID); return err }(),
		"unknown": func() error { _, err := keys.Disable(t.Context(), admin, "acme", "x"); return err }(),
	} {
		if code(err) != events.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if revocations.Revoked(using) {
		t.Error("revoked too early")
	}
	for range 2 {
		if k, err := keys.Disable(t.Context(), admin, "acme", key.ID); err != nil || k.DisabledAt == nil {
			t.Errorf("%+v %v", k, err)
		}
	}
	if !revocations.Revoked(using) || len(m.log) != 1 {
		t.Errorf("not revoked once: %v", m.log)
	}
}

func TestRevocations(t *testing.T) {
	m := newMemory()
	r, elsewhere := NewRevocations(m, quiet), NewRevocations(m, quiet)
	var seen []string
	elsewhere.Observe(func(rev Revocation) { seen = append(seen, rev.ID) })
	now := time.Now()
	token := func(user, jti string, at time.Time) *auth.Identity {
		return &auth.Identity{User: user, Method: auth.MethodToken, Credential: jti, Issued: at}
	}
	for _, rev := range []Revocation{{Kind: RevokeToken, ID: "t1"}, {Kind: RevokeUser, ID: "eve"}, {Kind: RevokeKey, ID: "k1"}} {
		if _, err := r.Create(t.Context(), operator, rev); err != nil {
			t.Fatal(err)
		}
	}
	if elsewhere.Revoked(token("ada", "t1", now)) {
		t.Error("known before it was read")
	}
	if err := elsewhere.Pull(t.Context()); err != nil || !slices.Equal(seen, []string{"t1", "eve", "k1"}) {
		t.Errorf("%v %v", seen, err)
	}
	for _, all := range []*Revocations{r, elsewhere} {
		for _, tt := range []struct {
			id      *auth.Identity
			revoked bool
		}{
			{token("ada", "t1", now), true},
			{token("ada", "t2", now), false},
			{token("ada", "", now), false},
			{token("ada", "k1", now), false}, // a token is no key
			{&auth.Identity{User: "ada", Method: auth.MethodAPIKey, Credential: "k1"}, true},
			{&auth.Identity{User: "ada", Method: auth.MethodAPIKey, Credential: "t1"}, false},
			{token("eve", "t3", now.Add(-time.Hour)), true},
			{token("eve", "t3", time.Time{}), true}, // nobody knows when
			{token("eve", "t4", now.Add(time.Second)), false},
		} {
			if got := all.Revoked(tt.id); got != tt.revoked {
				t.Errorf("%+v: %v", tt.id, got)
			}
		}
	}
	for name, tt := range map[string]struct {
		id   *auth.Identity
		rev  Revocation
		code events.Code
	}{
		"not an operator": {admin, Revocation{Kind: RevokeUser, ID: "x"}, events.CodePermissionDenied},
		"kind":            {operator, Revocation{Kind: "house", ID: "x"}, events.CodeValidation},
		"id":              {operator, Revocation{Kind: RevokeUser}, events.CodeValidation},
		"reason":          {operator, Revocation{Kind: RevokeUser, ID: "x", Reason: string(make([]byte, 501))}, events.CodeValidation},
	} {
		if _, err := r.Create(t.Context(), tt.id, tt.rev); code(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.List(t.Context(), admin); code(err) != events.CodePermissionDenied {
		t.Errorf("listed by anybody: %v", err)
	}
	if list, err := r.List(t.Context(), operator); err != nil || len(list) != 3 || list[0].By != "ops" {
		t.Errorf("%v %v", list, err)
	}
	m.fail = errors.New("disk on fire")
	if _, err := r.Revoke(t.Context(), Revocation{Kind: RevokeUser, ID: "x"}); err == nil {
		t.Error("a revocation that was not stored")
	}
}
