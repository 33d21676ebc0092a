package workflow

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// State is what a run has come to.
type State struct {
	Run     Run
	Context map[string]any
	Log     []interpreter.Entry
	// Pending are the inputs that the run waits for, oldest first.
	Pending []events.WorkflowDataCollectionRequest
}

// State returns what a run has come to. The caller has asked whether the user
// may.
func (s *Service) State(ctx context.Context, run Run) (State, error) {
	log, err := s.opts.Store.Log(ctx, run.ID, 0)
	if err != nil {
		return State{}, fmt.Errorf("reading log: %w", err)
	}
	return stateOf(run, run.Replay(log), log), nil
}

// Log returns the entries of a run after a number, in order. The caller has
// asked whether the user may.
func (s *Service) Log(ctx context.Context, run Run, after uint64) ([]interpreter.Entry, error) {
	log, err := s.opts.Store.Log(ctx, run.ID, after)
	if err != nil {
		return nil, fmt.Errorf("reading log: %w", err)
	}
	return log, nil
}

// stateOf returns what a log says. The status is that of the log too: that of
// the run was read at another time.
func stateOf(run Run, m *interpreter.Machine, log []interpreter.Entry) State {
	st := State{Run: run, Context: m.Context(), Log: log, Pending: m.Pending()}
	switch end := m.Ended(); {
	case end != nil:
		st.Run.Status, st.Run.Error, st.Run.EndedAt = end.Status, end.Error, log[len(log)-1].At
	case m.Begun():
		st.Run.Status = events.RunRunning
	default:
		st.Run.Status = events.RunPending
	}
	return st
}

// A History is what has happened in a run. All of it comes from one reading of
// the log, so that the state is the one that the updates lead to.
type History struct {
	State
	// Updates are what clients have seen. They come without the variables,
	// which would make a long run grow with its square.
	Updates []Update
	// Through is the offset that it reaches to, and Variables are those of then.
	Through   uint64
	Variables Context
}

// History returns what has happened in a run after an offset. The caller has
// asked whether the user may.
func (s *Service) History(ctx context.Context, run Run, after uint64) (History, error) {
	log, err := s.opts.Store.Log(ctx, run.ID, 0)
	if err != nil {
		return History{}, fmt.Errorf("reading log: %w", err)
	}
	m := run.Replay(nil)
	var updates []Update
	for _, e := range log {
		m.Apply(e)
		if e.Seq <= after {
			continue
		}
		if u, visible := update(run, m, e); visible {
			updates = append(updates, s.opts.Feed.bound(u))
		}
	}
	return History{
		State: stateOf(run, m, log), Updates: updates,
		Through: m.Seq(), Variables: s.opts.Feed.context(run, m.Seq(), m.Snapshot()),
	}, nil
}

// encode writes a value that came from JSON.
func encode(v any) events.JSON {
	b, err := json.Marshal(v)
	if err != nil {
		return events.JSON("null")
	}
	return b
}
