package workflow

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/events"
)

// State is what a run has come to.
type State struct {
	Run     Run
	Context map[string]any
	Log     []Entry
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
	return stateOf(run, replay(run.Definition, log), log), nil
}

// stateOf returns what a log says. The status is that of the log too: that of
// the run was read at another time.
func stateOf(run Run, m *machine, log []Entry) State {
	st := State{Run: run, Context: m.context(), Log: log}
	switch {
	case m.ended != nil:
		st.Run.Status, st.Run.Error, st.Run.EndedAt = m.ended.Status, m.ended.Error, log[len(log)-1].At
		return st
	case m.begun:
		st.Run.Status = events.RunRunning
	default:
		st.Run.Status = events.RunPending
	}
	for _, n := range m.suspendedNodes() {
		if n.suspended.Config != nil {
			st.Pending = append(st.Pending, events.WorkflowDataCollectionRequest{
				InstanceID: run.ID, NodeID: n.ID, CollectionRequestID: n.suspended.RequestID,
				CollectionType: n.suspended.Config.CollectionType, CollectionConfig: *n.suspended.Config,
			})
		}
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
	// Through is the offset that it reaches to.
	Through uint64
}

// History returns what has happened in a run after an offset. The caller has
// asked whether the user may.
func (s *Service) History(ctx context.Context, run Run, after uint64) (History, error) {
	log, err := s.opts.Store.Log(ctx, run.ID, 0)
	if err != nil {
		return History{}, fmt.Errorf("reading log: %w", err)
	}
	m := newMachine(run.Definition)
	var updates []Update
	for _, e := range log {
		m.apply(e)
		if e.Seq <= after {
			continue
		}
		if u, visible := update(run, m, e); visible {
			updates = append(updates, u)
		}
	}
	return History{State: stateOf(run, m, log), Updates: updates, Through: m.seq}, nil
}
