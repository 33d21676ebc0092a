//go:build temporal

package temporal

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/temporal/temporaltest"
)

// simulated is a cluster made of the test environments of Temporal's client,
// one for each run. They decide and retry as Temporal does, in this process.
// It outlives its engines: without one, what is to be executed waits.
type simulated struct {
	mu       sync.Mutex
	runs     map[string]*simulatedRun
	cuts     int // of histories
	engine   *Engine
	working  *sync.WaitGroup // activities of the engine
	attached chan struct{}   // closed when there is an engine
}

type simulatedRun struct {
	env    *testsuite.TestWorkflowEnvironment
	closed bool
}

func newSimulated() *simulated {
	return &simulated{runs: map[string]*simulatedRun{}, attached: make(chan struct{})}
}

// attach lets an engine execute what there is.
func (s *simulated) attach(e *Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.cluster = s
	if s.engine == nil { // that of a test that failed may still be there
		close(s.attached)
	}
	s.engine, s.working = e, &sync.WaitGroup{}
}

// detach lets nothing begin until the next engine comes, and waits for what
// runs.
func (s *simulated) detach() {
	s.mu.Lock()
	working := s.working
	if s.engine != nil {
		s.engine, s.attached = nil, make(chan struct{})
	}
	s.mu.Unlock()
	working.Wait()
}

// begin returns the engine, as soon as there is one, for an activity.
func (s *simulated) begin() (e *Engine, done func()) {
	for {
		s.mu.Lock()
		if s.engine != nil {
			defer s.mu.Unlock()
			s.working.Add(1)
			return s.engine, s.working.Done
		}
		attached := s.attached
		s.mu.Unlock()
		<-attached
	}
}

func (s *simulated) advance(ctx context.Context, runID string, i impulse) (step, error) {
	e, done := s.begin()
	defer done()
	return e.advance(ctx, runID, i)
}

func (s *simulated) execute(ctx context.Context, runID string, w interpreter.Work) (step, error) {
	e, done := s.begin()
	defer done()
	return e.execute(ctx, runID, w)
}

func (s *simulated) Start(_ context.Context, t ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == nil {
		return errors.New("there is no engine")
	}
	if s.runs[t.Run] != nil {
		return nil
	}
	r := &simulatedRun{}
	s.runs[t.Run] = r
	hold := s.environment(r, s.engine)
	go s.carry(t, r, hold)
	return nil
}

// tick is how far the clock of an environment is behind at most.
const tick = 50 * time.Millisecond

// environment makes the next environment of a run. Environments skip time when
// nothing happens; in this one something always does, so its clock is right.
// Closing hold lets that end.
func (s *simulated) environment(r *simulatedRun, e *Engine) (hold chan struct{}) {
	hold = make(chan struct{})
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(temporaltest.Silent{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(time.Now())
	env.SetTestTimeout(time.Minute)
	length := 0
	env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		length += 6 // events of an activity, and of the decision that follows
		env.SetCurrentHistoryLength(length)
	})
	env.RegisterActivityWithOptions(s.advance, activity.RegisterOptions{Name: advanceActivity})
	env.RegisterActivityWithOptions(s.execute, activity.RegisterOptions{Name: executeActivity})
	env.RegisterActivityWithOptions(func(context.Context) error { <-hold; return nil }, activity.RegisterOptions{Name: "hold"})
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, t ticket) error {
		workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: forEver}), "hold")
		workflow.Go(ctx, func(ctx workflow.Context) {
			for workflow.Sleep(ctx, tick) == nil {
			}
		})
		return e.conduct(ctx, t)
	}, workflow.RegisterOptions{Name: workflowName})
	r.env = env
	return hold
}

// carry executes the workflow of a run to its end.
func (s *simulated) carry(t ticket, r *simulatedRun, hold chan struct{}) {
	for {
		r.env.ExecuteWorkflow(workflowName, t)
		close(hold)
		e, done := s.begin()
		s.mu.Lock()
		if r.closed = !workflow.IsContinueAsNewError(r.env.GetWorkflowError()); !r.closed {
			s.cuts++
			hold = s.environment(r, e)
		}
		over := r.closed
		s.mu.Unlock()
		if done(); over {
			return
		}
	}
}

func (s *simulated) Signal(_ context.Context, runID, signal string, arg any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[runID]
	if r == nil || r.closed {
		return errGone
	}
	r.env.SignalWorkflow(signal, arg)
	return nil
}

func (s *simulated) State(_ context.Context, runID string) (state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r := s.runs[runID]; {
	case r == nil:
		return unknown, nil
	case r.closed:
		return closed, nil
	}
	return open, nil
}
