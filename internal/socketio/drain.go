package socketio

import "context"

// Drain implements [namespaces.Session].
func (s *Session) Drain(ctx context.Context) error {
	if s.is(stateEnded) {
		return errEnded
	}
	if err := s.link.conn.Drain(ctx); err != nil {
		return err
	}
	if s.is(stateEnded) {
		return errEnded
	}
	return nil
}
