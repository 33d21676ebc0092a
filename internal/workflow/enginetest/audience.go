package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// An audience hears what is published about runs, in all lives of an engine.
type audience struct {
	store       workflow.Store
	republishes bool

	mu     sync.Mutex
	rooms  map[events.Room][]heard
	faults []string
}

// heard is one publication.
type heard struct {
	pos     cluster.Position
	event   string
	payload string // JSON
}

func newAudience(store workflow.Store, republishes bool) *audience {
	return &audience{store: store, republishes: republishes, rooms: map[events.Room][]heard{}}
}

// hear checks a publication against the log as it is stored now, and against
// what was heard before.
func (a *audience) hear(room events.Room, pos cluster.Position, p events.Payload) {
	raw, err := json.Marshal(p)
	if err != nil {
		a.fault(room, pos, "%v", err)
		return
	}
	log, err := a.store.Log(context.Background(), string(room), 0)
	if err != nil {
		a.fault(room, pos, "reading the log: %v", err)
	}
	if uint64(len(log)) < pos.Offset {
		a.fault(room, pos, "is published before it is stored: the log has %d entries", len(log))
	} else if want := previous(log, pos.Offset); pos.Prev != want || !log[pos.Offset-1].Visible() {
		a.fault(room, pos, "says that the one before is %d, not %d, of a %s", pos.Prev, want, log[pos.Offset-1].Type)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h := heard{pos, p.EventName(), string(raw)}
	before := a.rooms[room]
	if n := len(before); n > 0 && before[n-1].pos.Offset >= pos.Offset {
		if !a.republishes || before[n-1] != h {
			a.faults = append(a.faults, fmt.Sprintf("%s: %d is published after %d", room, pos.Offset, before[n-1].pos.Offset))
		}
		return
	}
	a.rooms[room] = append(before, h)
}

func (a *audience) fault(room events.Room, pos cluster.Position, format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, fmt.Sprintf("%s: %d ", room, pos.Offset)+fmt.Sprintf(format, args...))
}

// previous returns the number of the visible entry before one.
func previous(log []interpreter.Entry, seq uint64) uint64 {
	for i := int(seq) - 2; i >= 0; i-- {
		if log[i].Visible() {
			return log[i].Seq
		}
	}
	return 0
}

// of returns what was heard of a run.
func (a *audience) of(runID string) []heard {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]heard(nil), a.rooms[events.RunRoom(runID)]...)
}

// report fails a test with all that was wrong.
func (a *audience) report(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.faults {
		t.Error(f)
	}
}

// A seat is the ear of one life of an engine: it hears nothing after that.
type seat struct {
	*audience
	life *life
}

// Publish implements [workflow.Publisher].
func (s seat) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	if s.life.dead() {
		return errDead
	}
	s.hear(room, pos, p)
	return nil
}
