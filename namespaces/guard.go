package namespaces

import (
	"context"
	"encoding/json"
)

// Guarded returns the route with a check that comes before its handler. The
// error of check, an *events.Error, is for the client.
func (r Route) Guarded(check func(s Session) error) Route {
	run := r.run
	r.run = func(ctx context.Context, s Session, arg json.RawMessage) ([]byte, error) {
		if err := check(s); err != nil {
			return nil, err
		}
		return run(ctx, s, arg)
	}
	return r
}
