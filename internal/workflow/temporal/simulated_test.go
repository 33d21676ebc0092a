//go:build temporal

package temporal

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

// simulated is a cluster made of the test environments of Temporal's client,
// one for each run. They decide and retry as Temporal does, in this process.
type simulated struct {
	t      testing.TB
	engine *Engine
	ended  sync.WaitGroup

	mu   sync.Mutex
	runs map[string]*simulatedRun
	cuts int // of histories
}

type simulatedRun struct {
	env    *testsuite.TestWorkflowEnvironment
	closed bool
}

func newSimulated(t testing.TB) *simulated {
	return &simulated{t: t, runs: map[string]*simulatedRun{}}
}

func (s *simulated) Start(_ context.Context, t ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[t.Run] != nil {
		return nil
	}
	r := &simulatedRun{}
	s.runs[t.Run] = r
	start, hold := s.environment(r)
	s.ended.Go(func() { s.execute(t, r, start, hold) })
	return nil
}

// tick is how far the clock of an environment is behind at most.
const tick = 10 * time.Millisecond

// environment makes the next environment of a run. Environments skip time when
// nothing happens; in this one something always does, so its clock is right.
// Closing hold lets that end.
func (s *simulated) environment(r *simulatedRun) (start string, hold chan struct{}) {
	hold = make(chan struct{})
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(silent{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(time.Now())
	env.SetTestTimeout(time.Minute)
	length := 0
	env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		length += 6 // events of an activity, and of the decision that follows
		env.SetCurrentHistoryLength(length)
	})
	s.engine.register(env)
	env.RegisterActivityWithOptions(func(context.Context) error { <-hold; return nil }, activity.RegisterOptions{Name: "hold"})
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, t ticket) error {
		workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: forEver}), "hold")
		workflow.Go(ctx, func(ctx workflow.Context) {
			for workflow.Sleep(ctx, tick) == nil {
			}
		})
		return s.engine.conduct(ctx, t)
	}, workflow.RegisterOptions{Name: "simulated"})
	r.env = env
	return "simulated", hold
}

func (s *simulated) execute(t ticket, r *simulatedRun, start string, hold chan struct{}) {
	for {
		r.env.ExecuteWorkflow(start, t)
		close(hold)
		s.mu.Lock()
		again := workflow.IsContinueAsNewError(r.env.GetWorkflowError())
		if !again {
			r.closed = true
			s.mu.Unlock()
			return
		}
		s.cuts++
		start, hold = s.environment(r)
		s.mu.Unlock()
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

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
