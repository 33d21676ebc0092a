package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// patience bounds what must come, on a machine that is busy with other tests.
const patience = 60 * time.Second

// A bed is an engine with all around it, on one store, through its lives.
type bed struct {
	o        Options
	store    workflow.Store // itself, whoever is dead
	audience *audience
	world    *world
	tenant   string
	user     *auth.Identity

	life    *life
	subject Subject
	service *workflow.Service
	deaths  int
	// repeated are the nodes that engines said they began again.
	repeated uint64
}

// newBed opens an engine, which is closed with the test.
func newBed(t *testing.T, o Options) *bed {
	b := newBedWithout(t, o)
	b.open(t, newLife(0, false))
	t.Cleanup(func() { b.shut(t) })
	return b
}

// newBedWithout has no engine yet.
func newBedWithout(t *testing.T, o Options) *bed {
	store := o.Store(t)
	tenant := "tenant-" + uuid.NewString()[:8]
	return &bed{
		o: o, store: store, audience: newAudience(store, o.Republishes), world: newWorld(store), tenant: tenant,
		user: admin("ada", tenant),
	}
}

func admin(user string, tenants ...string) *auth.Identity {
	id := &auth.Identity{User: user}
	for _, t := range tenants {
		id.Tenants = append(id.Tenants, auth.Membership{ID: t, Role: auth.Admin})
	}
	return id
}

// open begins a life.
func (b *bed) open(t *testing.T, l *life) {
	t.Helper()
	store := mortal{b.store, l}
	log := slog.New(slog.DiscardHandler)
	feed := workflow.NewFeed(seat{b.audience, l}, log)
	types := b.world.types(l)
	b.life = l
	b.subject = b.o.Open(t, Setup{Store: store, Feed: feed, Types: types, Logger: log, Limits: workflow.Limits{MaxDuration: maxDuration, MaxResult: maxResult}})
	b.service = workflow.NewService(workflow.ServiceOptions{Store: store, Engine: b.subject.Engine, Feed: feed, Types: types, MaxDuration: maxDuration})
}

// kill ends the life, if it has not ended, and what is left of its engine.
func (b *bed) kill() {
	b.life.end()
	b.subject.Kill()
	b.deaths++
	b.count()
}

func (b *bed) count() {
	if b.subject.Repeated != nil {
		b.repeated += b.subject.Repeated()
	}
}

// shut closes the engine and tells what was wrong.
func (b *bed) shut(t *testing.T) {
	b.count()
	b.subject.Close()
	b.audience.report(t)
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	for _, f := range b.world.faults {
		t.Error(f)
	}
}

func (b *bed) sub(fn func(*testing.T, *bed)) func(*testing.T) {
	return func(t *testing.T) { fn(t, b) }
}

// within returns a context that ends when something takes too long.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// define stores a workflow, which is not checked: the types of the suite are
// not all of those that editors know.
func (b *bed) define(t *testing.T, text string) workflow.Workflow {
	t.Helper()
	return b.defineIn(t, b.user, b.tenant, graphtest.Parse(t, text))
}

func (b *bed) defineIn(t *testing.T, id *auth.Identity, tenant string, d graph.Definition) workflow.Workflow {
	t.Helper()
	w, err := b.service.Create(within(t), id, tenant, "T", d)
	check(t, err)
	return w
}

// start executes a definition.
func (b *bed) start(t *testing.T, def string, input map[string]any) workflow.Run {
	t.Helper()
	r, err := b.service.Execute(within(t), b.user, b.define(t, def).ID, input)
	check(t, err)
	return r
}

// over waits for the end of a run, checks what its log and its clients say, and
// returns what it has come to.
func (b *bed) over(t *testing.T, r workflow.Run) workflow.State {
	t.Helper()
	if err := b.service.Wait(within(t), r.ID); err != nil {
		t.Fatalf("run %s does not end: %v\n%s", r.ID, err, b.trace(t, r.ID))
	}
	st := b.state(t, r.ID)
	b.heardAll(t, st)
	return st
}

// state reads a run.
func (b *bed) state(t *testing.T, runID string) workflow.State {
	t.Helper()
	r, err := b.store.Run(t.Context(), runID)
	check(t, err)
	st, err := b.service.State(t.Context(), r)
	check(t, err)
	if r.Status != st.Run.Status {
		t.Errorf("the run is %s, and its log says %s", r.Status, st.Run.Status)
	}
	return st
}

// asked waits until a run waits for people alone, and returns what for.
func (b *bed) asked(t *testing.T, r workflow.Run) []events.WorkflowDataCollectionRequest {
	t.Helper()
	if err := b.service.Settle(within(t), r.ID); err != nil {
		t.Fatalf("run %s does not settle: %v\n%s", r.ID, err, b.trace(t, r.ID))
	}
	return b.state(t, r.ID).Pending
}

// began waits until n nodes of the suite have begun.
func (b *bed) began(t *testing.T, n int) {
	t.Helper()
	over := time.After(patience)
	for {
		next, calls := b.world.next()
		if len(calls) >= n {
			return
		}
		select {
		case <-next:
		case <-over:
			t.Fatalf("%d nodes have begun, not %d", len(calls), n)
		}
	}
}

// heardAll checks that clients have heard what the log says, no more and no
// less. What was stored last may still be on its way to them, and what was
// stored when an engine died never comes: the one after it says so in Prev, and
// clients find it in the log.
func (b *bed) heardAll(t *testing.T, st workflow.State) {
	t.Helper()
	b.sound(t, st)
	h, err := b.service.History(t.Context(), st.Run, 0)
	check(t, err)
	if b.deaths == 0 {
		eventually.Within(eventually.Patience, time.Millisecond, func() bool { return len(b.audience.of(st.Run.ID)) >= len(h.Updates) })
	}
	got := b.audience.of(st.Run.ID)
	for _, u := range h.Updates {
		raw, _ := json.Marshal(u.Payload)
		switch want := (heard{u.Position(), u.Payload.EventName(), string(raw)}); {
		case len(got) > 0 && got[0] == want:
			got = got[1:]
		case b.deaths == 0 || len(got) > 0 && got[0].pos.Offset <= u.Offset:
			t.Errorf("run %s:\nheard  %+v\nstored %+v", st.Run.ID, got[:min(1, len(got))], want)
			return
		}
	}
	if len(got) > 0 {
		t.Errorf("%d updates too many: %+v", len(got), got)
	}
}

// sound checks that a log is one: numbered, with an end, and with one end for
// each execution of a node.
func (b *bed) sound(t *testing.T, st workflow.State) {
	t.Helper()
	ended := map[string]bool{}
	for i, e := range st.Log {
		if e.Seq != uint64(i+1) || (e.Type == interpreter.InputSet) != (i == 0) || (e.Type == interpreter.RunEnded) != (i == len(st.Log)-1) {
			t.Errorf("entry %d is %d, %s, of %d", i, e.Seq, e.Type, len(st.Log))
		}
		if e.Type != interpreter.NodeCompleted && e.Type != interpreter.NodeFailed {
			continue
		}
		if at := e.Node + "/" + e.Iteration; ended[at] {
			t.Errorf("node %s ends twice:\n%s", at, traceOf(st.Log))
		} else {
			ended[at] = true
		}
	}
}

func (b *bed) trace(t *testing.T, runID string) string {
	log, err := b.store.Log(context.WithoutCancel(t.Context()), runID, 0)
	if err != nil {
		return err.Error()
	}
	return traceOf(log)
}

// traceOf is a log in short.
func traceOf(log []interpreter.Entry) string {
	var lines []string
	for _, e := range log {
		line := string(e.Type)
		if e.Node != "" {
			line += " " + e.Node
		}
		if e.Iteration != "" {
			line += "/" + e.Iteration
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// output is the output of a run as JSON, "" if it has none.
func output(st workflow.State) string {
	var end interpreter.Ending
	for _, e := range st.Log {
		if e.Type == interpreter.RunEnded {
			end = interpreter.Decode[interpreter.Ending](e)
		}
	}
	return string(end.Output)
}

// refused reports whether an error is for clients, with one of some codes.
func refused(err error, codes ...events.Code) bool {
	var e *events.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

func parse(t *testing.T, text string) graph.Definition {
	t.Helper()
	return graphtest.Parse(t, text)
}

// newRun returns a run that does not exist yet, and its first entry.
func (b *bed) newRun(t *testing.T, w workflow.Workflow) (workflow.Run, interpreter.Entry) {
	t.Helper()
	now := time.Now().UTC()
	input, err := interpreter.NewEntry(interpreter.InputSet, "", "", givenInput())
	check(t, err)
	input.Seq, input.At = 1, now
	return workflow.Run{
		ID: uuid.NewString(), WorkflowID: w.ID, Tenant: w.Tenant, Title: w.Title, Plan: w.Plan, Status: events.RunPending,
		StartedBy: b.user.User, StartedAt: now, Engine: b.subject.Engine.Name(),
	}, input
}
