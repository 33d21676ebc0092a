package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// group are instances that share a database and reach each other.
type group struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	members map[string]*instance
	asked   []string        // whom orders were sent to
	deaf    map[string]bool // whose answers get lost
}

// instance is one of them, with what it publishes.
type instance struct {
	*fixture
	group *group
	id    atomic.Value // string
}

func newGroup(t *testing.T) *group {
	return &group{t: t, url: postgrestest.URL(t), members: map[string]*instance{}, deaf: map[string]bool{}}
}

func (g *group) open() *store.DB {
	g.t.Helper()
	db, err := postgres.Open(g.t.Context(), postgres.Options{URL: g.url, MaxConns: 4})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { db.Close() })
	return db
}

// join adds an instance that is there until it is killed.
func (g *group) join() *instance {
	g.t.Helper()
	i := &instance{fixture: &fixture{t: g.t, db: g.open(), log: &bytes.Buffer{}}, group: g}
	i.changed = sync.NewCond(&i.mu)
	i.come()
	i.build(i.db.Workflows(), journal.Options{Owner: i.owner, Peers: g})
	g.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := i.eng.Close(ctx); err != nil {
			g.t.Error(err)
		}
	})
	return i
}

func (i *instance) owner() string { return i.id.Load().(string) }

// come makes the instance be there, under a new id.
func (i *instance) come() {
	i.t.Helper()
	id := uuid.NewString()
	if err := i.db.Instances().Register(i.t.Context(), id, time.Hour); err != nil {
		i.t.Fatal(err)
	}
	i.id.Store(id)
	i.group.mu.Lock()
	defer i.group.mu.Unlock()
	i.group.members[id] = i
}

// fallSilent lets the time of an instance run out, which does not notice.
func (i *instance) fallSilent() {
	i.t.Helper()
	if err := i.db.Instances().Renew(i.t.Context(), i.owner(), -time.Millisecond); err != nil {
		i.t.Fatal(err)
	}
}

// die makes the others unable to reach an instance too.
func (i *instance) die() {
	i.t.Helper()
	i.fallSilent()
	i.group.mu.Lock()
	defer i.group.mu.Unlock()
	delete(i.group.members, i.owner())
}

func (i *instance) resume() {
	i.t.Helper()
	if err := i.eng.Resume(i.t.Context()); err != nil {
		i.t.Fatal(err)
	}
}

// Call implements workflow.Peers.
func (g *group) Call(ctx context.Context, id, method string, payload []byte) ([]byte, error) {
	g.mu.Lock()
	g.asked = append(g.asked, id)
	i, deaf := g.members[id], g.deaf[id]
	g.mu.Unlock()
	if i == nil || method != journal.Method {
		return nil, errors.New("no answer")
	}
	raw, err := i.eng.Serve(ctx, payload)
	if deaf {
		return nil, errors.New("the answer was lost")
	}
	return raw, err
}

func (g *group) timesAsked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

// request returns the request that a run waits with, seen from an instance.
func (i *instance) request(run workflow.Run) string {
	i.t.Helper()
	var id string
	eventually.True(i.t, func() bool {
		state, err := i.svc.State(i.t.Context(), run)
		if err == nil && len(state.Pending) == 1 {
			id = state.Pending[0].CollectionRequestID
		}
		return id != ""
	})
	return id
}

// ended returns how a run has ended, seen from an instance.
func (i *instance) ended(run workflow.Run) (r workflow.Run) {
	i.t.Helper()
	eventually.True(i.t, func() bool {
		var err error
		r, err = i.svc.Run(i.t.Context(), member, auth.ReadRuns, run.ID)
		return err == nil && r.Status.Terminal()
	})
	return r
}

// completions counts how often a node was completed.
func (i *instance) completions(run workflow.Run, node string) (n int) {
	i.t.Helper()
	state, err := i.svc.State(i.t.Context(), run)
	if err != nil {
		i.t.Fatal(err)
	}
	for k, e := range state.Log {
		if e.Seq != uint64(k+1) {
			i.t.Errorf("entry %d has the number %d", k+1, e.Seq)
		}
		if e.Type == interpreter.NodeCompleted && e.Node == node {
			n++
		}
	}
	return n
}

var fine = map[string]any{"ok": true}

// An input reaches the run wherever it goes on, and so do refusals.
func TestInputForARunElsewhere(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	run := a.run(linear(t, startNode, form, form), nil)
	first := a.request(run)
	found, err := b.svc.RunOfRequest(t.Context(), member, "acme", first)
	if err != nil || found.ID != run.ID {
		t.Fatalf("%v %v", found.ID, err)
	}
	err = b.svc.Submit(t.Context(), member, found, workflow.Input{RequestID: first, Data: map[string]any{"ok": "yes"}, Field: "submittedData"})
	var e *events.Error
	if !errors.As(err, &e) || e.Code != events.CodeValidation || e.Field != "submittedData.ok" {
		t.Errorf("input of the wrong shape: %+v", err)
	}
	if err := b.svc.WidgetInput(t.Context(), member, run, map[string]any{"inputType": "x"}, false); err != nil {
		t.Error(err)
	}
	if err := b.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: first, Data: fine}); err != nil {
		t.Error(err)
	}
	if _, err := b.svc.RunOfRequest(t.Context(), member, "acme", first); code(err) != events.CodeNotFound {
		t.Errorf("after the answer: %v", err)
	}
	if err := b.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: first, Data: fine}); code(err) != events.CodeNotFound {
		t.Errorf("a second answer: %v", err)
	}
	a.request(run)
	if err := b.svc.Stop(t.Context(), member, run); err != nil {
		t.Error(err)
	}
	if r := b.ended(run); r.Status != events.RunStopped {
		t.Errorf("ended as %s", r.Status)
	}
	if err := b.svc.Stop(t.Context(), member, run); code(err) != events.CodeConflict {
		t.Errorf("stopping again: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.published) != 0 {
		t.Errorf("b published %v", b.published)
	}
}

// Whose instance is gone is taken over: what waits goes on waiting, also for
// its time; what was in the middle of a node begins the node again.
func TestTakeOver(t *testing.T) {
	g := newGroup(t)
	a, b, c := g.join(), g.join(), g.join()
	var calls atomic.Int32
	release := make(chan struct{})
	busy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if calls.Add(1) == 1 {
			<-release
		}
	}))
	defer busy.Close()
	defer close(release) // the owner that is gone gets its result then, and may not store it
	waiting := a.run(linear(t, startNode, form), nil)
	delayed := a.run(linear(t, startNode, `{"type":"delay","data":{"delayMs":400}}`, transform("1", "r")), nil)
	calling := a.run(linear(t, startNode, `{"type":"http","data":{"url":"`+busy.URL+`"}}`), nil)
	request := a.request(waiting)
	for _, run := range []workflow.Run{delayed, calling} {
		a.await(`{"instanceID":"` + run.ID + `","nodeID":"n0"`)
	}
	b.resume()
	if r, err := b.svc.Run(t.Context(), member, auth.ReadRuns, waiting.ID); err != nil || r.Owner != a.owner() {
		t.Errorf("a live owner was robbed: %+v %v", r, err)
	}
	eventually.True(a.t, func() bool { // the delay has begun
		state, err := a.svc.State(t.Context(), delayed)
		return err == nil && state.Log[len(state.Log)-1].Type == interpreter.NodeSuspended && calls.Load() == 1
	})
	a.die()
	var all sync.WaitGroup
	all.Go(b.resume)
	all.Go(c.resume)
	all.Wait()
	if r := b.ended(calling); r.Status != events.RunCompleted || calls.Load() != 2 {
		t.Errorf("in the middle: %+v after %d calls", r, calls.Load())
	}
	if r := b.ended(delayed); r.Status != events.RunCompleted {
		t.Errorf("delayed: %+v", r)
	}
	if n := b.completions(delayed, "n1"); n != 1 {
		t.Errorf("the delay ended %d times", n)
	}
	if err := c.svc.Submit(t.Context(), member, waiting, workflow.Input{RequestID: request, Data: fine}); err != nil {
		t.Error(err)
	}
	if r := b.ended(waiting); r.Status != events.RunCompleted {
		t.Errorf("waiting: %+v", r)
	}
}

// An owner that was robbed without noticing cannot write, publishes nothing,
// and passes on what it is given.
func TestRobbedOwner(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	run := a.run(linear(t, startNode, form, transform("1", "r")), nil)
	request := a.request(run)
	a.fallSilent()
	b.resume()
	a.mu.Lock()
	before := len(a.published)
	a.mu.Unlock()
	a.come() // it noticed, but still has the run
	if err := a.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: request, Data: fine}); err != nil {
		t.Error(err)
	}
	if r := b.ended(run); r.Status != events.RunCompleted || r.Owner != b.owner() {
		t.Errorf("%+v", r)
	}
	if n := b.completions(run, "n1"); n != 1 {
		t.Errorf("the form was completed %d times", n)
	}
	b.await(`"status":"COMPLETED"`)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.published) != before {
		t.Errorf("a published %v", a.published[before:])
	}
}

// An input for a run whose owner is gone takes the run over; nobody has to
// have noticed before.
func TestInputTakesOver(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	run := a.run(linear(t, startNode, form), nil)
	request := a.request(run)
	a.die()
	if err := b.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: request, Data: fine}); err != nil {
		t.Error(err)
	}
	if r := b.ended(run); r.Status != events.RunCompleted || r.Owner != b.owner() || g.timesAsked() != 0 {
		t.Errorf("%+v; asked %d times", r, g.timesAsked())
	}
}

// A run that was taken over while somebody here was about to create it again, as
// a parent does that was taken over before, goes on.
func TestStartOfARunThatWasTakenOver(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	run := a.run(linear(t, startNode, `{"type":"delay","data":{"delayMs":100}}`, transform("1 + 1", "r")), nil)
	eventually.True(t, func() bool {
		state, err := b.svc.State(t.Context(), run)
		return err == nil && len(state.Log) > 0 && state.Log[len(state.Log)-1].Type == interpreter.NodeSuspended
	})
	a.eng.Lost()
	a.die()
	if taken, err := b.db.Workflows().TakeRun(t.Context(), run.ID, a.owner(), b.owner()); err != nil || !taken {
		t.Fatal(taken, err)
	}
	state, err := b.svc.State(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.eng.Execute(t.Context(), run, state.Log[0]); err != nil {
		t.Fatal(err)
	}
	if r := b.ended(run); r.Status != events.RunCompleted || b.completions(run, "n1") != 1 {
		t.Errorf("%+v", r)
	}
}

// An owner that carries out an order and dies before it can say so: the order
// was carried out once, and who gave it is told so.
func TestLostAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		order func(s *workflow.Service, run workflow.Run) error
		want  events.RunStatus
	}{
		"the run goes on": {func(s *workflow.Service, run workflow.Run) error {
			return s.Submit(t.Context(), member, run, workflow.Input{Data: fine})
		}, events.RunRunning},
		"the run is over": {func(s *workflow.Service, run workflow.Run) error { return s.Stop(t.Context(), member, run) }, events.RunStopped},
		"widget input": {func(s *workflow.Service, run workflow.Run) error {
			return s.WidgetInput(t.Context(), member, run, map[string]any{"inputType": "form_submit", "data": fine}, true)
		}, events.RunRunning},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t)
			a, b := g.join(), g.join()
			run := a.run(linear(t, startNode, form, form), nil)
			a.request(run)
			g.mu.Lock()
			g.deaf[a.owner()] = true
			g.mu.Unlock()
			done := make(chan error, 1)
			go func() { done <- tt.order(b.svc, run) }()
			eventually.True(b.t, func() bool { return g.timesAsked() > 1 || len(done) > 0 }) // it has tried again
			a.die()
			if err := <-done; err != nil {
				t.Error(err)
			}
			r, err := b.svc.Run(t.Context(), member, auth.ReadRuns, run.ID)
			if err != nil || r.Status != tt.want {
				t.Errorf("%+v %v", r, err)
			}
			if n := b.completions(run, "n1"); n > 1 || tt.want == events.RunRunning && n != 1 {
				t.Errorf("the form was completed %d times", n)
			}
		})
	}
}

// Of many who answer one request on all instances, one does.
func TestOneAnswer(t *testing.T) {
	g := newGroup(t)
	all := []*instance{g.join(), g.join(), g.join()}
	run := all[0].run(linear(t, startNode, form, form), nil)
	request := all[0].request(run)
	var accepted atomic.Int32
	var trying sync.WaitGroup
	for k := range 12 {
		trying.Go(func() {
			err := all[k%3].svc.Submit(t.Context(), member, run, workflow.Input{RequestID: request, Data: fine})
			if err == nil {
				accepted.Add(1)
			} else if code(err) != events.CodeNotFound {
				t.Error(err)
			}
		})
	}
	trying.Wait()
	if n := all[1].completions(run, "n1"); accepted.Load() != 1 || n != 1 {
		t.Errorf("%d were accepted, the form was completed %d times", accepted.Load(), n)
	}
}

// A clean stop releases what goes on, for another to take up at once.
func TestCleanStop(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	run := a.run(linear(t, startNode, form), nil)
	request := a.request(run)
	if err := a.eng.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.svc.Execute(t.Context(), member, run.WorkflowID, nil); code(err) != events.CodeConflict {
		t.Errorf("it begins something new: %v", err)
	}
	b.resume()
	if r, err := b.svc.Run(t.Context(), member, auth.ReadRuns, run.ID); err != nil || r.Owner != b.owner() {
		t.Errorf("%+v %v", r, err)
	}
	if err := b.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: request, Data: fine}); err != nil {
		t.Error(err)
	}
	if r := b.ended(run); r.Status != events.RunCompleted {
		t.Errorf("%+v", r)
	}
}

// Who has lost its place stops at once what it was doing, writes nothing, and
// begins nothing until it is back.
func TestLost(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	ended := make(chan struct{})
	var calls atomic.Int32
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			<-r.Context().Done()
			close(ended)
		}
	}))
	defer slow.Close()
	waiting := a.run(linear(t, startNode, form), nil)
	calling := a.run(linear(t, startNode, `{"type":"http","data":{"url":"`+slow.URL+`"}}`), nil)
	request := a.request(waiting)
	a.await(`{"instanceID":"` + calling.ID + `","nodeID":"n0"`)
	eventually.True(t, func() bool { return calls.Load() == 1 })
	before := fmt.Sprint(logLengths(a, waiting, calling))
	a.die()
	a.id.Store("")
	a.eng.Lost()
	<-ended // the node was told
	if _, err := a.svc.Execute(t.Context(), member, waiting.WorkflowID, nil); code(err) != events.CodeConflict {
		t.Errorf("it begins something new: %v", err)
	}
	if err := a.svc.Submit(t.Context(), member, waiting, workflow.Input{Data: fine}); code(err) != events.CodeConflict {
		t.Errorf("it takes an input: %v", err)
	}
	if after := fmt.Sprint(logLengths(a, waiting, calling)); after != before {
		t.Errorf("the logs grew from %s to %s", before, after)
	}
	a.come()
	a.resume() // its own, from before
	if r := b.ended(calling); r.Status != events.RunCompleted || calls.Load() != 2 {
		t.Errorf("%+v", r)
	}
	if err := b.svc.Submit(t.Context(), member, waiting, workflow.Input{RequestID: request, Data: fine}); err != nil {
		t.Error(err)
	}
	if r := b.ended(waiting); r.Status != events.RunCompleted || r.Owner != a.owner() {
		t.Errorf("%+v", r)
	}
}

func logLengths(i *instance, runs ...workflow.Run) (lengths []int) {
	for _, r := range runs {
		state, err := i.svc.State(i.t.Context(), r)
		if err != nil {
			i.t.Fatal(err)
		}
		lengths = append(lengths, len(state.Log))
	}
	return lengths
}

// breakable is a store that can be made to refuse entries.
type breakable struct {
	workflow.Store
	broken atomic.Bool
}

func (s *breakable) Write(ctx context.Context, writes []workflow.Write) ([]error, error) {
	if s.broken.Load() {
		return nil, errors.New("the store is away")
	}
	return s.Store.Write(ctx, writes)
}

// What was given up because the store failed is taken up again when it works.
func TestStoreComesBack(t *testing.T) {
	f := newFixture(t)
	s := &breakable{Store: f.db.Workflows()}
	f.build(s, journal.Options{})
	run := f.run(linear(t, startNode, form), nil)
	f.await("workflow_data_collection_request")
	s.broken.Store(true)
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{Data: fine}); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("without a store: %v", err)
	}
	s.broken.Store(false)
	if err := f.eng.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{Data: fine}); err != nil {
		t.Error(err)
	}
	if got := f.finish(run); !strings.Contains(got[len(got)-1], `"status":"COMPLETED"`) {
		t.Errorf("%v", got)
	}
}

// A run that waits for its turn elsewhere can be stopped.
func TestStopOfARunInLineElsewhere(t *testing.T) {
	g := newGroup(t)
	a, b := g.join(), g.join()
	defer a.eng.Occupy(t.Context(), "acme")()
	run := a.run(linear(t, startNode, transform("1", "r"), form), nil)
	if err := b.svc.Stop(t.Context(), member, run); err != nil {
		t.Error(err)
	}
	if r := b.ended(run); r.Status != events.RunStopped {
		t.Errorf("ended as %s", r.Status)
	}
}
