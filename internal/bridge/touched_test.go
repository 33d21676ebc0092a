package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
)

// elsewhere is a run "r" that goes on in another instance: it is known from
// its log alone.
type elsewhere struct {
	fakeRuns
	mu      sync.Mutex
	updates []Update
	reads   int
	fail    int    // so many reads fail
	reading func() // called after a read, before it returns
	gone    bool
}

// go on makes the run go on by n updates.
func (e *elsewhere) goOn(n int) (last Update) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for range n {
		prev := uint64(1)
		if k := len(e.updates); k > 0 {
			prev = e.updates[k-1].Offset
		}
		last = past("r", fmt.Sprint(len(e.updates)+1), prev+2) // not every entry is seen
		last.Prev = prev
		e.updates = append(e.updates, last)
	}
	return last
}

func (e *elsewhere) Find(_ context.Context, _ *auth.Identity, id string, _ bool) (Run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return Run{}, events.NotFound("run", id)
	}
	return Run{ID: id, WorkflowID: "w", Tenant: "acme"}, nil
}

func (e *elsewhere) History(_ context.Context, _ Run, after uint64) (History, error) {
	e.mu.Lock()
	e.reads++
	if e.fail > 0 {
		e.fail--
		e.mu.Unlock()
		return History{}, errors.New("the store is away")
	}
	h := History{Through: 1, Status: events.RunRunning, Context: whole(fmt.Sprintf(`{"at":%d}`, len(e.updates)))}
	for _, u := range e.updates {
		if h.Through = u.Offset; u.Offset > after {
			h.Updates = append(h.Updates, u)
		}
	}
	reading := e.reading
	e.mu.Unlock()
	if reading != nil {
		reading()
	}
	return h, nil
}

func (e *elsewhere) timesRead() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reads
}

// shown is a session that keeps which nodes its widget was told of.
type shown struct {
	*tab
	mu     sync.Mutex
	nodes  []string
	others []string
	ended  bool
}

func newShown() *shown { return &shown{tab: newTab()} }

func (s *shown) Emit(p events.Payload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errors.New("the session has ended")
	}
	raw, _ := json.Marshal(p)
	var fields struct{ Update struct{ NodeID string } }
	json.Unmarshal(raw, &fields)
	switch p.(type) {
	case events.WidgetContextUpdate:
		s.nodes = append(s.nodes, fields.Update.NodeID)
	case events.WorkflowNodeUpdate: // of the run's room
	default:
		s.others = append(s.others, p.EventName())
	}
	return nil
}

func (s *shown) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// told returns the nodes that the widget was told of.
func (s *shown) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.nodes, " ")
}

func numbers(from, to int) string {
	var all []string
	for ; from <= to; from++ {
		all = append(all, fmt.Sprint(from))
	}
	return strings.Join(all, " ")
}

func (s *shown) expect(t *testing.T, from, to int) {
	t.Helper()
	eventually.True(t, func() bool { return s.told() == numbers(from, to) }, func() string { return "told of " + s.told() })
}

func newBridge(t *testing.T, runs Runs) *Service {
	s := NewService(Options{Runs: runs, Widgets: owners{"x": "acme", "y": "acme", "theirs": "other"}})
	t.Cleanup(s.Close)
	return s
}

func (s *Service) show(t *testing.T, session Session, widgetID string) {
	t.Helper()
	if _, err := s.Connect(t.Context(), session, Connect{WidgetID: widgetID, InstanceID: "r", Mode: events.WidgetSubscribe}); err != nil {
		t.Fatal(err)
	}
}

// Widgets that show a run of another instance get its updates once and in
// order, however often they are woken.
func TestRunElsewhere(t *testing.T) {
	run := &elsewhere{}
	s := newBridge(t, run)
	run.goOn(2)
	a, b := newShown(), newShown()
	s.RunTouched("r") // nobody shows it
	if run.timesRead() != 0 {
		t.Error("it was read for nobody")
	}
	s.show(t, a, "x")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				run.goOn(1)
				s.RunTouched("r")
			}
		})
	}
	all.Wait()
	a.expect(t, 3, 102)
	s.show(t, b, "y")
	run.goOn(1)
	s.RunTouched("r")
	a.expect(t, 3, 103)
	b.expect(t, 103, 103)
}

// While a run is being read, those who touch it do not wait and start no other
// reader.
func TestOneReader(t *testing.T) {
	run := &elsewhere{}
	s := newBridge(t, run)
	a := newShown()
	s.show(t, a, "x")
	before := run.timesRead()
	began, release := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(began); <-release })
	run.mu.Lock()
	run.reading = once
	run.mu.Unlock()
	run.goOn(1)
	s.RunTouched("r")
	<-began
	for range 100 {
		run.goOn(1)
		s.RunTouched("r")
	}
	close(release)
	a.expect(t, 1, 101)
	if n := run.timesRead() - before; n > 3 {
		t.Errorf("it was read %d times", n)
	}
}

// What happens elsewhere while a widget is being brought to a run is not lost.
func TestTouchedWhileSubscribing(t *testing.T) {
	run := &elsewhere{}
	s := newBridge(t, run)
	run.goOn(1)
	run.reading = sync.OnceFunc(func() {
		run.goOn(1)
		s.RunTouched("r")
	})
	a := newShown()
	s.show(t, a, "x")
	a.expect(t, 2, 2)
}

// A run that is taken over goes on here where it was there.
func TestRunTakenOver(t *testing.T) {
	run := &elsewhere{}
	s := newBridge(t, run)
	a := newShown()
	s.show(t, a, "x")
	s.RunUpdated(run.goOn(1))
	run.goOn(5) // there, and nobody heard
	s.RunUpdated(run.goOn(1))
	s.RunUpdated(run.goOn(1))
	a.expect(t, 1, 8)
	s.RunTouched("r")
	s.RunUpdated(run.goOn(1))
	a.expect(t, 1, 9)
}

func TestStoreAwayWhileReading(t *testing.T) {
	run := &elsewhere{}
	s := newBridge(t, run)
	a := newShown()
	s.show(t, a, "x")
	run.mu.Lock()
	run.fail = 2
	run.mu.Unlock()
	run.goOn(1)
	s.RunTouched("r")
	a.expect(t, 1, 1)
	run.mu.Lock()
	run.fail = 2
	run.mu.Unlock()
	run.goOn(1)
	s.RunUpdated(run.goOn(1))
	a.expect(t, 1, 3)
}

// A session that goes on elsewhere gets what it has not got, without being
// told that it is connected.
func TestSaveAndRestore(t *testing.T) {
	run := &elsewhere{}
	here, there := newBridge(t, run), newBridge(t, run)
	a := newShown()
	here.show(t, a, "x")
	here.show(t, a, "y")
	run.goOn(2)
	here.RunTouched("r")
	eventually.True(t, func() bool { return a.told() == "1 1 2 2" || a.told() == "1 2 1 2" })
	a.end()
	last := run.goOn(1) // which it does not take any more
	here.RunUpdated(last)
	saved := here.Save(a)
	here.Forget(a)
	if fmt.Sprint(saved) != "[{x r 5} {y r 5}]" || len(here.Save(a)) != 0 {
		t.Fatalf("saved %v", saved)
	}
	run.goOn(1)

	b := newShown()
	b.runs["r"] = 2
	if err := there.Restore(t.Context(), b, saved); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, func() bool { return b.told() == "3 4 3 4" }, b.told)
	run.goOn(1)
	there.RunTouched("r")
	eventually.True(t, func() bool { return b.told() == "3 4 3 4 5 5" }, b.told)
	if len(b.others) != 0 || b.runs["r"] != 2 || !b.rooms["widget:x"] {
		t.Errorf("told %v; runs %v, rooms %v", b.others, b.runs, b.rooms)
	}
	there.Disconnect(b, "x")
	if b.runs["r"] != 1 || b.rooms["widget:x"] {
		t.Errorf("runs %v, rooms %v", b.runs, b.rooms)
	}
}

// What may not be shown any more is not restored, and its widget is told.
func TestRestoreAsksAgain(t *testing.T) {
	run := &elsewhere{}
	s := newBridge(t, run)
	for name, tt := range map[string]struct {
		widget string
		gone   bool
	}{"the run is gone": {"x", true}, "the widget is another's": {"theirs", false}, "the widget is gone": {"z", false}} {
		run.mu.Lock()
		run.gone = tt.gone
		run.mu.Unlock()
		a := newShown()
		a.runs["r"] = 1
		a.rooms[events.WidgetRoom(tt.widget)] = true
		if err := s.Restore(t.Context(), a, []Bound{{tt.widget, "r", 1}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(a.others, []string{"widget_workflow_disconnected"}) || len(a.runs)+len(a.rooms) != 0 || len(s.Save(a)) != 0 {
			t.Errorf("%s: told %v, runs %v, rooms %v", name, a.others, a.runs, a.rooms)
		}
	}
	run.mu.Lock()
	run.gone, run.fail = false, 1
	run.mu.Unlock()
	a := newShown()
	a.runs["r"] = 1
	if err := s.Restore(t.Context(), a, []Bound{{"x", "r", 1}}); err == nil || len(a.others) != 1 || len(a.runs)+len(a.rooms) != 0 {
		t.Errorf("without a store: %v, told %v, runs %v, rooms %v", err, a.others, a.runs, a.rooms)
	}
}
