package socketio

import "context"

// Drain implements [namespaces.Session].
func (s *Session) Drain(context.Context) error { return nil }
