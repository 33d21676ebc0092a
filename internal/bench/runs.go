package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// RunsOptions say which runs of workflows [Runs] has carried on.
type RunsOptions struct {
	// Tenant is whose workflow it is. The token of the target must let its user
	// write and execute workflows there.
	Tenant string
	// Workflow is the name of one of [RunWorkflows].
	Workflow string
	// Widget starts runs with widgets over Socket.IO. Otherwise they are started
	// over REST, and seen by a client that joins each of them.
	Widget bool
	// InFlight is how many runs go on at once, each for a client of its own.
	// Default 8, or 64 if there is a rate.
	InFlight int
	// Rate is how many begin in a second, whether or not others are over; 0 is
	// as many as are over.
	Rate     int
	Duration time.Duration // default 5 s
	// Progress, if set, is told how many runs are over, a few times a second.
	Progress func(done int64, what string)
}

// Runs has a Roomcast server carry on runs of a workflow of three nodes. Each
// must be seen by its client to execute each of its nodes and to end with the
// right output, once; everything else is an error.
//
// A latency is from when a client asks for a run, or at a rate should have
// asked, until it has seen the end of it.
func Runs(ctx context.Context, t Target, o RunsOptions) (Result, error) {
	o.InFlight = orDefault(o.InFlight, map[bool]int{false: 8, true: 64}[o.Rate > 0])
	duration := orDefault(o.Duration, 5*time.Second)
	r := Result{Workload: "runs", Connections: o.InFlight}
	w, err := createRunWorkflow(ctx, t, o)
	if err != nil {
		return r, err
	}
	defer w.close()
	lanes := make([]*runLane, o.InFlight)
	for i := range lanes {
		if lanes[i], err = newRunLane(ctx, t, o, w, i); err != nil {
			return r, err
		}
		defer lanes[i].close()
	}
	load := runLoad{lanes: lanes, p: newProgress(Options{Progress: o.Progress})}
	if o.Rate > 0 {
		load.every = time.Duration(float64(time.Second) * float64(o.InFlight) / float64(o.Rate))
	}
	if err := load.run(ctx, duration/5); err != nil { // warm up
		return r, err
	}
	load.over.Store(0)
	load.took.all = nil
	written, err := BytesWritten(t.PID)
	if err != nil {
		return r, err
	}
	m, err := startMeter(t.PID)
	if err != nil {
		return r, err
	}
	if err := load.run(ctx, duration); err != nil {
		return r, err
	}
	r.Messages = load.over.Load()
	if err := m.fill(&r); err != nil {
		return r, err
	}
	after, err := BytesWritten(t.PID)
	if r.Messages > 0 {
		r.Written = float64(after-written) / float64(r.Messages)
	}
	load.took.fill(&r)
	return r, err
}

// runLoad is many clients that have runs carried on.
type runLoad struct {
	lanes []*runLane
	every time.Duration // between the runs of one client; 0 is at once
	p     *progress

	over atomic.Int64
	took latencies
}

func (l *runLoad) run(ctx context.Context, d time.Duration) error {
	var all sync.WaitGroup
	errs := make(chan error, len(l.lanes))
	end := time.Now().Add(d)
	for i, lane := range l.lanes {
		all.Go(func() {
			errs <- l.drive(ctx, lane, end, time.Duration(i)*l.every/time.Duration(len(l.lanes)))
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// drive has one run after the other carried on.
func (l *runLoad) drive(ctx context.Context, lane *runLane, end time.Time, delay time.Duration) error {
	var took []time.Duration
	begun := time.Now().Add(delay)
	for begun.Before(end) && ctx.Err() == nil {
		time.Sleep(time.Until(begun))
		if err := lane.run(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(begun))
		l.p.tell(l.over.Add(1), "runs")
		if l.every == 0 {
			begun = time.Now()
		} else {
			begun = begun.Add(l.every)
		}
	}
	l.took.add(took)
	if err := ctx.Err(); err != nil {
		return err
	}
	return lane.settle()
}

// RunWorkflows returns the names of the workflows that [Runs] knows.
func RunWorkflows() []string { return []string{"pure", "effect"} }

// orderedNodes are the ids of the nodes of each of them, in their order.
var orderedNodes = []string{"start", "work", "end"}

// definitionOf returns a workflow that multiplies its input n by 21, with the
// node that does it in the middle. effect is where a server multiplies.
func definitionOf(name, effect string) (string, error) {
	work, answer := "", "answer"
	switch name {
	case "pure":
		work = `"type":"transform","data":{"expression":"input.n * 21","outputVariable":"answer"}`
	case "effect":
		work, answer = `"type":"http","data":{"url":"`+effect+`?n={{input.n}}","outputVariable":"reply"}`, "reply.body.answer"
	default:
		return "", fmt.Errorf("the workflow %q is not one of %s", name, strings.Join(RunWorkflows(), ", "))
	}
	return `{"title":"bench","nodes":[{"id":"start","type":"start","data":{}},{"id":"work",` + work + `},
		{"id":"end","type":"end","data":{"outputParameters":[{"name":"answer","sourceVariable":"` + answer + `"}]}}],
		"edges":[{"id":"a","source":"start","target":"work"},{"id":"b","source":"work","target":"end"}]}`, nil
}
