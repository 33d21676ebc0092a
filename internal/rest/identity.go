package rest

import (
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/identity"
)

const apiKeys = "/api/v1/tenants/{tenant}/api-keys"

func (a *API) identityRoutes() {
	a.handle("GET "+apiKeys, a.listKeys)
	a.handle("POST "+apiKeys, a.createKey)
	a.handle("DELETE "+apiKeys+"/{id}", a.disableKey)
	a.handle("GET /api/v1/revocations", a.listRevocations)
	a.handle("POST /api/v1/revocations", a.revoke)
}

func (a *API) listKeys(r *request) (any, error) {
	list, err := a.opts.Keys.List(r.Context(), r.id, r.tenant())
	return map[string]any{"apiKeys": list}, err
}

// createKey answers with the key itself, which nobody will see again.
func (a *API) createKey(r *request) (any, error) {
	var body struct {
		Name   string    `json:"name"`
		Role   auth.Role `json:"role"`
		UserID string    `json:"userID"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	secret, key, err := a.opts.Keys.Create(r.Context(), r.id, r.tenant(), identity.NewKey{Name: body.Name, Role: body.Role, User: body.UserID})
	return created{struct {
		identity.Key
		Secret string `json:"apiKey"`
	}{key, secret}}, err
}

// disableKey shuts a key out. Its row stays, so that it can be told who made it.
func (a *API) disableKey(r *request) (any, error) {
	return a.opts.Keys.Disable(r.Context(), r.id, r.tenant(), r.PathValue("id"))
}

func (a *API) listRevocations(r *request) (any, error) {
	list, err := a.opts.Revocations.List(r.Context(), r.id)
	if list == nil {
		list = []identity.Revocation{}
	}
	return map[string]any{"revocations": list}, err
}

// revoke shuts credentials out. It is done when it is answered.
func (a *API) revoke(r *request) (any, error) {
	var body struct {
		Kind   identity.RevocationKind `json:"kind"`
		ID     string                  `json:"id"`
		Reason string                  `json:"reason"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	made, err := a.opts.Revocations.Create(r.Context(), r.id, identity.Revocation{Kind: body.Kind, ID: body.ID, Reason: body.Reason})
	return created{made}, err
}
