package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
)

// An APIKey lets a program in. Only its first characters and its SHA-256 are
// known to the server.
type APIKey struct {
	Name     string
	Prefix   string // the first 8 characters
	SHA256   string // of all 64, in hexadecimal
	User     string // who the program acts as
	Tenant   string
	Role     Role
	Disabled bool
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
		case rights[k.Role] == nil:
			return nil, fmt.Errorf("API key %s has the unknown role %q", k.Name, k.Role)
		}
		keys[strings.ToLower(k.Prefix)] = append(keys[strings.ToLower(k.Prefix)], k)
	}
	return keys, nil
}

// find compares in constant time, so that how long it takes says nothing
// about how much of a hash was right.
func (keys apiKeys) find(value string) (*Identity, error) {
	if !apiKeyForm.MatchString(value) {
		return nil, errInvalidAPIKey
	}
	prefix, sum := digest(value)
	for _, k := range keys[prefix] {
		if subtle.ConstantTimeCompare([]byte(strings.ToLower(k.SHA256)), []byte(sum)) == 1 && !k.Disabled {
			return &Identity{
				User:       k.User,
				Tenants:    []Membership{{k.Tenant, k.Role}},
				Method:     "api_key",
				Credential: k.Name,
			}, nil
		}
	}
	return nil, errInvalidAPIKey
}
