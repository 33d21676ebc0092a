package auth

import (
	"context"
	"slices"
	"time"
)

// A Role is what a user is in a tenant.
type Role string

// The roles.
const (
	Admin  Role = "ADMIN"
	Member Role = "MEMBER"
	// Publisher is for back ends that publish, and do nothing else.
	Publisher Role = "PUBLISHER"
)

// An Identity is a user whose credential has been verified. It is not changed
// after it was made.
type Identity struct {
	User        string
	Tenants     []Membership
	Permissions []Permission
	// Method is how the user proved it.
	Method Method
	// Issuer is who signed the token; "" for an API key.
	Issuer string
	// Credential identifies the credential without being it: a token's jti,
	// which may be "", or the id of an API key.
	Credential string
	// Issued is when the credential was made at the earliest, as far as clocks
	// may be apart; zero if nobody knows.
	Issued time.Time
	// Expires is when the credential ends; zero is never.
	Expires time.Time
}

// A Method is a way to prove who one is.
type Method string

// The methods.
const (
	MethodToken  Method = "token"
	MethodAPIKey Method = "api_key"
)

// Membership is a user's role in a tenant.
type Membership struct {
	ID   string `json:"id"`
	Role Role   `json:"role"`
}

// A Permission goes beyond a role in a tenant.
type Permission string

// Operate lets a user see the whole server, whatever the tenant.
const Operate Permission = "server:operate"

// Role returns the user's role in a tenant, "" if there is none.
func (id *Identity) Role(tenant string) Role {
	for _, m := range id.Tenants {
		if m.ID == tenant {
			return m.Role
		}
	}
	return ""
}

// Operator reports whether the user operates the server.
func (id *Identity) Operator() bool { return slices.Contains(id.Permissions, Operate) }

// OnlyTenant returns the user's tenant if there is exactly one.
func (id *Identity) OnlyTenant() (string, bool) {
	if len(id.Tenants) != 1 {
		return "", false
	}
	return id.Tenants[0].ID, true
}

// LogAttrs returns what a log line about the user says of them. The tenant is
// what its administrators see the line by; a user of several is nobody's. id
// may be nil.
func (id *Identity) LogAttrs() []any {
	if id == nil {
		return nil
	}
	attrs := []any{"user", id.User}
	if tenant, ok := id.OnlyTenant(); ok {
		attrs = append(attrs, "tenant", tenant)
	}
	return attrs
}

type identityKey struct{}

// NewContext returns a context that carries the identity of a request.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// ContextValue is for contexts that carry an identity by themselves: it reports
// whether key asks for it.
func ContextValue(key any) bool { return key == identityKey{} }

// FromContext returns the identity of a request, nil if nobody proved one.
func FromContext(ctx context.Context) *Identity {
	id, _ := ctx.Value(identityKey{}).(*Identity)
	return id
}
