package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// An APIKey lets a program in. Only its first characters and its SHA-256 are
// known to the server.
type APIKey struct {
	ID       string // its name, for keys of the configuration
	Name     string
	Prefix   string // the first 8 characters
	SHA256   string // of all 64, in hexadecimal
	User     string // who the program acts as
	Tenant   string
	Role     Role
	Disabled bool
	Created  time.Time
}

// A KeyStore finds API keys. It may return several, because prefixes are
// short, and may be called concurrently.
type KeyStore interface {
	KeysByPrefix(ctx context.Context, prefix string) ([]APIKey, error)
}

// prefixLen is how much of a key is kept to find it again.
const prefixLen = 8

// NewAPIKey returns a fresh key and what to keep of it: its prefix and hash.
func NewAPIKey() (key, prefix, sum string) {
	var b [32]byte
	rand.Read(b[:])
	key = hex.EncodeToString(b[:])
	prefix, sum = digest(key)
	return key, prefix, sum
}

func digest(key string) (prefix, sum string) {
	key = strings.ToLower(key)
	h := sha256.Sum256([]byte(key))
	return key[:prefixLen], hex.EncodeToString(h[:])
}

// apiKeys are found by prefix, which several may share.
type apiKeys map[string][]APIKey

func newAPIKeys(list []APIKey) (apiKeys, error) {
	keys := make(apiKeys)
	for _, k := range list {
		switch {
		case len(k.Prefix) != prefixLen || len(k.SHA256) != 2*sha256.Size:
			return nil, fmt.Errorf("API key %s needs a prefix of %d characters and a SHA-256 in hexadecimal", k.Name, prefixLen)
		case k.User == "" || k.Tenant == "":
			return nil, fmt.Errorf("API key %s needs a user and a tenant", k.Name)
		case !k.Role.Valid():
			return nil, fmt.Errorf("API key %s has the unknown role %q", k.Name, k.Role)
		}
		if k.ID == "" {
			k.ID = k.Name
		}
		keys[strings.ToLower(k.Prefix)] = append(keys[strings.ToLower(k.Prefix)], k)
	}
	return keys, nil
}

// findKey returns who a key lets in.
func (a *Authenticator) findKey(ctx context.Context, value string) (*Identity, error) {
	if !apiKeyForm.MatchString(value) {
		return nil, errInvalidAPIKey
	}
	prefix, sum := digest(value)
	candidates := a.apiKeys[prefix]
	if a.store != nil {
		stored, err := a.store.KeysByPrefix(ctx, prefix)
		if err != nil {
			return nil, fmt.Errorf("looking up an API key: %w", err)
		}
		candidates = append(candidates[:len(candidates):len(candidates)], stored...)
	}
	if k := match(candidates, sum); k != nil && !k.Disabled && k.Role.Valid() {
		return k.identity(), nil
	}
	return nil, errInvalidAPIKey
}

// match compares in constant time, and with all of them, so that how long it
// takes says nothing about how much of a hash was right.
func match(keys []APIKey, sum string) (found *APIKey) {
	for i := range keys {
		if subtle.ConstantTimeCompare([]byte(strings.ToLower(keys[i].SHA256)), []byte(sum)) == 1 {
			found = &keys[i]
		}
	}
	return found
}

func (k *APIKey) identity() *Identity {
	return &Identity{
		User:       k.User,
		Tenants:    []Membership{{k.Tenant, k.Role}},
		Method:     MethodAPIKey,
		Credential: k.ID,
		Issued:     k.Created,
	}
}
