package rest

import (
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/listener"
)

func (a *API) listenerRoutes() {
	const base = "/api/v1/tenants/{tenant}/listeners"
	a.handle("GET "+base, a.listListeners)
	a.handle("POST "+base, a.createListener)
	a.handle("DELETE "+base+"/{id}", a.deleteListener)
	a.handle("POST "+base+"/{id}/events", a.emitListenerEvent)
}

func (a *API) listListeners(r *request) (any, error) {
	list, err := a.opts.Listeners.List(r.Context(), r.id, r.tenant())
	if list == nil {
		list = []listener.Listener{}
	}
	return map[string]any{"listeners": list}, err
}

func (a *API) createListener(r *request) (any, error) {
	var body struct {
		Title string        `json:"title"`
		Kind  listener.Kind `json:"kind"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	l, err := a.opts.Listeners.Create(r.Context(), r.id, r.tenant(), body.Title, body.Kind)
	return created{l}, err
}

// listener makes sure that the listener in the path is the tenant's.
func (a *API) listener(r *request) (string, error) {
	l, err := a.opts.Listeners.Get(r.Context(), r.id, auth.ReadListeners, r.PathValue("id"))
	if err == nil && l.Tenant != r.tenant() {
		return "", events.NotFound("listener", r.PathValue("id"))
	}
	return l.ID, err
}

func (a *API) deleteListener(r *request) (any, error) {
	id, err := a.listener(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"deleted": id}, a.opts.Listeners.Delete(r.Context(), r.id, id)
}

// emitListenerEvent publishes what a listener has heard.
func (a *API) emitListenerEvent(r *request) (any, error) {
	id, err := a.listener(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Data  events.JSON `json:"data"`
		Mode  string      `json:"mode"`
		Limit int         `json:"limit"`
		Test  bool        `json:"test"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	pos, err := a.opts.Listeners.Emit(r.Context(), r.id, id, listener.Data{Value: body.Data, Mode: body.Mode, Limit: body.Limit, Test: body.Test})
	return map[string]any{"listenerID": id, "epoch": pos.Epoch, "offset": pos.Offset}, err
}
