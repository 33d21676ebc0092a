package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// StopMethod is the name under which peers must hand what they are asked to
// [Service.ServeStop].
const StopMethod = "chat.stop"

// stopOrder says which turn to stop.
type stopOrder struct {
	RoomID string `json:"roomID"`
	Seq    uint64 `json:"seq"`
	Gone   bool   `json:"gone,omitempty"` // the room is
}

// Stop ends the answer that is being given in a room, wherever that is, and
// those to what was said before and waits. What was said of it is kept. It
// reports whether there was anything to stop; stopping again is fine.
func (s *Service) Stop(ctx context.Context, id *auth.Identity, roomID string) (stopped bool, err error) {
	if _, err := s.Room(ctx, id, roomID); err != nil {
		return false, err
	}
	m, err := s.opts.Store.StopTurns(ctx, roomID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("stopping the answer: %w", err)
	}
	// If it does not get there, its server finds it with the next piece that it
	// stores; or it is gone, and who takes the message over finds it.
	if err := s.stopAt(ctx, m.Owner, stopOrder{RoomID: roomID, Seq: m.Seq}); err != nil {
		if e, meant := events.Public(err); meant {
			return false, e
		}
		s.opts.Logger.Warn("the server that answers was not told to stop", "room", roomID, "error", err)
	}
	return true, nil
}

// stopAt stops a turn that is taken here, or by its owner.
func (s *Service) stopAt(ctx context.Context, owner string, o stopOrder) error {
	if s.stopHere(o) || s.opts.Peers == nil || owner == s.opts.Owner() {
		return nil
	}
	payload, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = s.opts.Peers.Call(ctx, owner, StopMethod, payload)
	return err
}

// stopHere stops a turn that is taken here.
func (s *Service) stopHere(o stopOrder) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[o.RoomID]
	if t == nil || t.Message.Seq > o.Seq {
		return false
	}
	if o.Gone {
		t.stop(errGone)
	} else {
		t.stop(ErrStopped)
	}
	return true
}

// ServeStop stops what another instance asks to.
func (s *Service) ServeStop(_ context.Context, payload []byte) ([]byte, error) {
	var o stopOrder
	if err := json.Unmarshal(payload, &o); err != nil {
		return nil, fmt.Errorf("decoding what to stop: %w", err)
	}
	return json.Marshal(s.stopHere(o))
}
