package identity

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// A Key is an API key without the key: what is kept of it.
type Key struct {
	ID         string     `json:"keyID"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	SHA256     string     `json:"-"`
	User       string     `json:"userID"` // who the program acts as
	Tenant     string     `json:"tenantID"`
	Role       auth.Role  `json:"role"`
	CreatedBy  string     `json:"createdBy"`
	CreatedAt  time.Time  `json:"createdAt"`
	DisabledAt *time.Time `json:"disabledAt"`
}

// ErrNotFound is returned by a [KeyStore] for what it does not have.
var ErrNotFound = errors.New("not found")

// A KeyStore keeps API keys. Its methods may be called concurrently.
type KeyStore interface {
	auth.KeyStore
	CreateKey(ctx context.Context, k Key) error
	Key(ctx context.Context, id string) (Key, error)
	Keys(ctx context.Context, tenant string) ([]Key, error)
	DisableKey(ctx context.Context, id string, at time.Time) error
	// AnyKey reports whether there is a key that is not disabled.
	AnyKey(ctx context.Context) (bool, error)
}

// Keys are the API keys of all tenants. Its methods may be called
// concurrently.
type Keys struct {
	store       KeyStore
	revocations *Revocations
}

// NewKeys returns the keys in a store.
func NewKeys(store KeyStore, revocations *Revocations) *Keys { return &Keys{store, revocations} }

// NewKey is what a key is to be.
type NewKey struct {
	Name string
	Role auth.Role // default MEMBER
	User string    // default: who creates it
}

// Create makes a key for a tenant. The secret is returned this once and kept
// nowhere.
func (k *Keys) Create(ctx context.Context, id *auth.Identity, tenant string, n NewKey) (secret string, key Key, err error) {
	if err := mayManage(id, tenant); err != nil {
		return "", Key{}, err
	}
	if id.Method == auth.MethodAPIKey {
		// To disable a key that was stolen would not shut out what was made
		// with it.
		return "", Key{}, events.Errorf(events.CodePermissionDenied, "an API key does not make others: sign in with a token")
	}
	if n.User == "" {
		n.User = id.User
	}
	if n.User != id.User && !id.Operator() {
		// Conversations belong to users, whatever the tenant: whoever could
		// name another user would read theirs.
		return "", Key{}, &events.Error{Code: events.CodePermissionDenied, Field: "userID", Message: "userID: only who operates the server makes keys for others: leave it out"}
	}
	return k.Make(ctx, id.User, tenant, n)
}

// Make is Create without asking who may: for the command line, which has the
// database.
func (k *Keys) Make(ctx context.Context, by, tenant string, n NewKey) (secret string, key Key, err error) {
	if n.Role == "" {
		n.Role = auth.Member
	}
	switch {
	case n.Name == "" || utf8.RuneCountInString(n.Name) > 100:
		return "", Key{}, events.FieldErrorf("name", "has to be 1 to 100 characters long")
	case !n.Role.Valid():
		return "", Key{}, events.FieldErrorf("role", "%q is not one of MEMBER, ADMIN, PUBLISHER", n.Role)
	case n.User == "" || len(n.User) > 128:
		return "", Key{}, events.FieldErrorf("userID", "has to be 1 to 128 bytes long")
	case tenant == "":
		return "", Key{}, events.FieldErrorf("tenantID", "is missing")
	}
	secret, prefix, sum := auth.NewAPIKey()
	key = Key{
		ID: uuid.NewString(), Name: n.Name, Prefix: prefix, SHA256: sum, User: n.User, Tenant: tenant, Role: n.Role,
		CreatedBy: by, CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	if err := k.store.CreateKey(ctx, key); err != nil {
		return "", Key{}, fmt.Errorf("storing API key: %w", err)
	}
	return secret, key, nil
}

// List returns the keys of a tenant.
func (k *Keys) List(ctx context.Context, id *auth.Identity, tenant string) ([]Key, error) {
	if err := mayManage(id, tenant); err != nil {
		return nil, err
	}
	return k.All(ctx, tenant)
}

// All is List without asking who may.
func (k *Keys) All(ctx context.Context, tenant string) ([]Key, error) {
	list, err := k.store.Keys(ctx, tenant)
	if list == nil {
		list = []Key{}
	}
	return list, err
}

// Disable shuts a key of a tenant out, for good.
func (k *Keys) Disable(ctx context.Context, id *auth.Identity, tenant, keyID string) (Key, error) {
	if err := mayManage(id, tenant); err != nil {
		return Key{}, err
	}
	key, err := k.find(ctx, keyID)
	if err == nil && key.Tenant != tenant {
		return Key{}, events.NotFound("API key", keyID)
	}
	if err != nil {
		return Key{}, err
	}
	return k.disable(ctx, id.User, key)
}

// Remove is Disable without asking who may.
func (k *Keys) Remove(ctx context.Context, by, keyID string) (Key, error) {
	key, err := k.find(ctx, keyID)
	if err != nil {
		return Key{}, err
	}
	return k.disable(ctx, by, key)
}

func (k *Keys) find(ctx context.Context, keyID string) (Key, error) {
	key, err := k.store.Key(ctx, keyID)
	switch {
	case errors.Is(err, ErrNotFound):
		return Key{}, events.NotFound("API key", keyID)
	case err != nil:
		return Key{}, fmt.Errorf("reading API key: %w", err)
	}
	return key, nil
}

// disable revokes first: if the process ends in between, the key is shut out.
func (k *Keys) disable(ctx context.Context, by string, key Key) (Key, error) {
	if key.DisabledAt != nil {
		return key, nil
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	if _, err := k.revocations.Revoke(ctx, Revocation{Kind: RevokeKey, ID: key.ID, By: by, Reason: "disabled"}); err != nil {
		return Key{}, err
	}
	if err := k.store.DisableKey(ctx, key.ID, at); err != nil {
		return Key{}, fmt.Errorf("disabling API key: %w", err)
	}
	key.DisabledAt = &at
	return key, nil
}

// mayManage tells a tenant's members that they may not, and others nothing.
func mayManage(id *auth.Identity, tenant string) error {
	switch {
	case id.Can(auth.ManageKeys, tenant):
		return nil
	case id.Role(tenant) == "":
		return events.NotFound("tenant", tenant)
	}
	return events.Errorf(events.CodePermissionDenied, "your role does not include %s", auth.ManageKeys)
}
