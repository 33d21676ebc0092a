package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
)

// Start lets a prepared run go. Starting one that has begun does nothing.
func (s *Service) Start(ctx context.Context, r Run) error {
	if once.Again(ctx) && r.Owner != s.opts.Owner() {
		return nil // it was started where it was made, or whoever takes it over ends it
	}
	x, err := s.begin(r)
	if x == nil {
		return err
	}
	defer x.mu.Unlock()
	if err := x.load(ctx); err != nil {
		return err
	}
	if x.machine.begun {
		x.withdraw()
		return nil
	}
	return x.commit()
}

// begin makes a run live and locks it, before its log is read: of two that
// begin the same run one gets nil.
func (s *Service) begin(r Run) (*execution, error) {
	ctx, cancel := context.WithCancel(context.Background())
	x := &execution{
		svc: s, run: r, ctx: ctx, cancel: cancel,
		log:     s.opts.Logger.With("run", r.ID, "tenant", r.Tenant, "workflow", r.WorkflowID),
		machine: newMachine(r.Definition),
		timers:  make(map[string]*time.Timer),
		changed: make(chan struct{}),
	}
	owner := s.opts.Owner()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		cancel()
		return nil, events.Errorf(events.CodeConflict, "the server is shutting down: try again in a moment")
	case owner == "" || r.Owner != owner:
		cancel()
		return nil, errApart
	case s.live[r.ID] != nil:
		cancel()
		return nil, nil
	}
	x.mu.Lock()
	s.live[r.ID] = x
	return x, nil
}

// errApart is the answer to who asks for what has to be owned, while this
// instance must not own anything.
var errApart = events.Errorf(events.CodeConflict, "the server has been away from its database: try again in a moment")

// load brings the run to where its log says it is.
func (x *execution) load(ctx context.Context) error {
	log, err := x.svc.opts.Store.Log(ctx, x.run.ID, 0)
	if err != nil {
		x.withdraw()
		return fmt.Errorf("reading log of run %s: %w", x.run.ID, err)
	}
	x.machine = replay(x.run.Definition, log)
	return nil
}

// withdraw takes a run out of the process in which nothing was done.
func (x *execution) withdraw() {
	x.cancel()
	x.svc.mu.Lock()
	if x.svc.live[x.run.ID] == x { // and not what came after it
		delete(x.svc.live, x.run.ID)
	}
	x.svc.mu.Unlock()
	x.tell()
}

// find returns a run that goes on here, nil if it does not.
func (s *Service) find(runID string) *execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[runID]
}
