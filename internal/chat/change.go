package chat

import (
	"context"
	"encoding/json"
)

// A Change is one after which somebody who is in a room may have to leave it.
type Change struct {
	RoomID  string `json:"roomID,omitempty"` // "" may be any
	Deleted bool   `json:"deleted,omitempty"`
}

// OnChange sets what sees to it that those leave who must. It is called on
// every instance. OnChange must be called before anything else.
func (s *Service) OnChange(leave func(ctx context.Context, c Change)) { s.leave = leave }

// change does what a change asks for, here and on the other instances.
func (s *Service) change(ctx context.Context, c Change) {
	if s.leave != nil {
		s.leave(ctx, c)
	}
	if s.opts.Announce == nil {
		return
	}
	if data, err := json.Marshal(c); err == nil { // texts and truth
		s.opts.Announce(data)
	}
}

// Changed does what a change asks for that another instance has announced, and
// does not wait for it. Without data nobody knows what changed.
func (s *Service) Changed(data []byte) {
	var c Change
	if len(data) > 0 {
		if err := json.Unmarshal(data, &c); err != nil {
			s.opts.Logger.Warn("the change of a chat room is not readable", "error", err)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.leave == nil {
		return
	}
	s.working.Add(1)
	go func() {
		defer s.working.Done()
		s.leave(s.term(), c)
	}()
}
