package bridge

import (
	"context"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/pace"
)

// start notes how far a run is that a widget begins to show. It reports
// whether the run was touched before that, when nobody knew.
func (b *binding) start(through uint64, accepted bool) (touched bool) {
	b.reach(through, accepted)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = true
	return b.touched
}

// touch reports whether a run that was touched is to be read for a widget, and
// from where on. One that is just being brought to its run looks for itself.
func (b *binding) touch() (seen uint64, started bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.started {
		b.touched = true
		return 0, false
	}
	return b.seen, true
}

// has reports whether a widget has been sent what happened at an offset.
func (b *binding) has(offset uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return offset <= b.seen
}

// taken returns the offset up to which the session has taken what happened.
func (b *binding) taken() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// reach notes that a widget has been sent what happened up to an offset.
func (b *binding) reach(offset uint64, accepted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = max(b.seen, offset)
	if accepted {
		b.got = max(b.got, offset)
	}
}

// deliver emits an update as widgets know it, unless the widget has got it.
// Updates come one after the other.
func (b *binding) deliver(u Update) {
	if b.has(u.Offset) {
		return
	}
	accepted := true
	if p := b.event(u); p != nil {
		accepted = b.session.Emit(p) == nil
	}
	b.reach(u.Offset, accepted)
}

// sender sends a long history to a session, and knows whether the session has
// taken the latest event.
type sender struct {
	*pace.Sender
	ctx     context.Context // of what is read for it
	session *taking
}

func newSender(ctx context.Context, s Session) *sender {
	t := &taking{Client: s}
	return &sender{pace.To(ctx, t), ctx, t}
}

func (s *sender) accepted() bool { return s.session.refused == nil }

// taking is a client that remembers whether it has taken the latest event.
type taking struct {
	pace.Client
	refused error
}

// Emit implements [pace.Client].
func (t *taking) Emit(p events.Payload) error {
	t.refused = t.Client.Emit(p)
	return t.refused
}
