package workflow

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A Context is the variables of a run after an entry, as events carry them:
// themselves, or null and where they are if they are too large. They are put
// together when somebody asks, and once. It may be called concurrently.
type Context func() (events.JSON, *events.ContextRef)

// LimitContexts bounds the variables that events carry, in bytes of JSON; 0
// lets none carry any. It must be called before anything runs. Without it there
// is no bound.
func (f *Feed) LimitContexts(bytes int) { f.contextLimit = bytes }

// context returns the variables of a run after an entry.
func (f *Feed) context(run Run, offset uint64, s interpreter.Snapshot) Context {
	if s.Size() > f.contextLimit {
		return func() (events.JSON, *events.ContextRef) {
			return events.JSON("null"), events.NewContextRef(run.Tenant, run.ID, offset, s.Size())
		}
	}
	whole := sync.OnceValue(s.JSON)
	return func() (events.JSON, *events.ContextRef) { return whole(), nil }
}

// bound gives an update the variables that its events carry.
func (f *Feed) bound(u Update) Update {
	if u.Context == nil {
		return u
	}
	u.Variables = f.context(u.Run, u.Offset, *u.Context)
	if end, ok := u.Payload.(events.WorkflowStatusUpdate); ok {
		end.ContextData, end.ContextRef = u.Variables()
		u.Payload = end
	}
	return u
}

// ContextAt returns the variables of a run as they were after an entry, 0 is
// the latest, and the number of that entry. The caller has asked whether the
// user may.
func (s *Service) ContextAt(ctx context.Context, run Run, offset uint64) (interpreter.Snapshot, uint64, error) {
	log, err := s.opts.Store.Log(ctx, run.ID, 0)
	if err != nil {
		return interpreter.Snapshot{}, 0, fmt.Errorf("reading log: %w", err)
	}
	if offset > 0 {
		at := slices.IndexFunc(log, func(e interpreter.Entry) bool { return e.Seq == offset })
		if at < 0 {
			return interpreter.Snapshot{}, 0, events.FieldErrorf("offset", "%d is not an entry of the run, which has %d so far", offset, len(log))
		}
		log = log[:at+1]
	}
	m := run.Replay(log)
	return m.Snapshot(), m.Seq(), nil
}
