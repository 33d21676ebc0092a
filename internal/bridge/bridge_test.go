package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

var ada = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}

// tab is a session that keeps what it is told.
type tab struct {
	mu    sync.Mutex
	got   []string
	rooms map[events.Room]bool
	runs  map[string]int // how often it entered

	refuse      error  // of EnterRun
	onConnected func() // called when the widget is told of its run
	drained     int
}

func newTab() *tab { return &tab{rooms: map[events.Room]bool{}, runs: map[string]int{}} }

func (t *tab) Drain(context.Context) error {
	t.drained++
	return nil
}

func (t *tab) Identity() *auth.Identity { return ada }
func (t *tab) Join(r events.Room)       { t.rooms[r] = true }
func (t *tab) Leave(r events.Room)      { delete(t.rooms, r) }
func (t *tab) EnterRun(runID string, since uint64, read func(after, until uint64) (uint64, error)) error {
	if t.refuse != nil {
		return t.refuse
	}
	_, err := read(since, math.MaxUint64)
	if err == nil {
		t.runs[runID]++
	}
	return err
}

func (t *tab) LeaveRun(runID string) {
	if t.runs[runID]--; t.runs[runID] <= 0 {
		delete(t.runs, runID)
	}
}

func (t *tab) Emit(p events.Payload) error {
	if _, ok := p.(events.WidgetWorkflowConnected); ok && t.onConnected != nil {
		t.onConnected()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	raw, _ := json.Marshal(p)
	var fields struct {
		InstanceID, Mode, Status string
		Update                   struct {
			NodeID          string
			ContextSnapshot json.RawMessage
		}
		InitialContext json.RawMessage
	}
	json.Unmarshal(raw, &fields)
	if string(fields.Update.ContextSnapshot) == "null" {
		fields.Update.NodeID += " without context"
	}
	t.got = append(t.got, strings.TrimSpace(fmt.Sprintf("%s %s %s%s%s%s", strings.TrimPrefix(p.EventName(), "widget_"), fields.InstanceID, fields.Mode, fields.Update.NodeID, fields.Status, fields.InitialContext)))
	return nil
}

func (t *tab) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	got := strings.Join(t.got, "\n")
	t.got = nil
	return got
}

// fakeRuns are runs r1, r2, … that never do anything by themselves.
type fakeRuns struct {
	n       int
	history map[string]History
	started []string
	broken  error
	// launched is called while a run is being launched.
	launched func(runID string)
}

// whole are variables that are not too large.
func whole(raw string) Context {
	return func() (events.JSON, *events.ContextRef) { return events.JSON(raw), nil }
}

func (f *fakeRuns) Executable(_ context.Context, _ *auth.Identity, workflowID string) (Workflow, error) {
	if workflowID == "foreign" {
		return Workflow{Tenant: "other"}, nil
	}
	return Workflow{Tenant: "acme", Handle: workflowID}, nil
}

func (f *fakeRuns) Draft(_ context.Context, _ *auth.Identity, w Workflow, input map[string]any) (Draft, error) {
	f.n++
	variables, err := json.Marshal(map[string]any{"input": input})
	run := Run{ID: fmt.Sprintf("r%d", f.n), WorkflowID: w.Handle.(string), Tenant: "acme", Handle: input}
	return Draft{Run: run, Through: 1, Context: whole(string(variables))}, err
}

func (f *fakeRuns) Launch(_ context.Context, d Draft) error {
	f.started = append(f.started, d.Run.ID)
	if f.launched != nil {
		f.launched(d.Run.ID)
	}
	return f.broken
}

func (f *fakeRuns) Inputs(_ context.Context, r Run) (map[string]any, error) {
	return r.Handle.(map[string]any), nil
}

func (f *fakeRuns) Find(_ context.Context, _ *auth.Identity, id string, _ bool) (Run, error) {
	return Run{ID: id, WorkflowID: "w", Tenant: "acme", Handle: map[string]any{"from": id}}, nil
}

func (f *fakeRuns) Newest(ctx context.Context, id *auth.Identity, _ string) (Run, error) {
	return f.Find(ctx, id, "newest", false)
}

func (f *fakeRuns) History(_ context.Context, r Run, after uint64) (History, error) {
	h := f.history[r.ID]
	h.Updates = slices.DeleteFunc(slices.Clone(h.Updates), func(u Update) bool { return u.Offset <= after })
	return h, f.broken
}

func (f *fakeRuns) Input(context.Context, *auth.Identity, Run, map[string]any, bool) error {
	return nil
}

// owners are widgets by id.
type owners map[string]string

func (o owners) Widget(_ context.Context, id string) (string, error) {
	if o[id] == "" {
		return "", ErrNotFound
	}
	return o[id], nil
}

func (o owners) ClaimWidget(_ context.Context, id, tenant, _ string) (string, error) {
	if o[id] == "" {
		o[id] = tenant
	}
	return o[id], nil
}

func node(run, id string, offset uint64) Update {
	return Update{RunID: run, Offset: offset, Node: &Node{ID: id}, Context: whole(`{}`), Payload: events.WorkflowNodeUpdate{InstanceID: run}}
}

// past is node as a history has it.
func past(run, id string, offset uint64) Update {
	u := node(run, id, offset)
	u.Context = nil
	return u
}

func end(run string, offset uint64) Update {
	return Update{RunID: run, Offset: offset, Status: events.RunCompleted, Context: whole(`{}`)}
}

func expect(t *testing.T, s *tab, want ...string) {
	t.Helper()
	if got := s.take(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// Two tabs with the same widget have runs of their own.
func TestTabsDoNotShareAWidget(t *testing.T) {
	runs := &fakeRuns{}
	s := NewService(Options{Runs: runs, Widgets: owners{}, AutoRegister: true})
	a, b := newTab(), newTab()
	for _, tab := range []*tab{a, b} {
		if _, err := s.Connect(t.Context(), tab, Connect{WidgetID: "x", WorkflowID: "w", Input: map[string]any{"n": 1}}); err != nil {
			t.Fatal(err)
		}
	}
	s.RunUpdated(node("r1", "n", 2))
	s.RunUpdated(node("r2", "n", 2))
	s.RunUpdated(end("r1", 3))
	expect(t, a, `workflow_connected r1 execute{"input":{"n":1}}`, "context_update r1 n", "workflow_status r1 COMPLETED")
	expect(t, b, `workflow_connected r2 execute{"input":{"n":1}}`, "context_update r2 n")
	if !a.rooms["widget:x"] || a.runs["r1"] != 1 || a.runs["r2"] != 0 {
		t.Errorf("rooms %v, runs %v", a.rooms, a.runs)
	}

	// Refreshing one leaves the other alone, and keeps its input.
	if _, err := s.Refresh(t.Context(), a, "x", "", nil); err != nil {
		t.Fatal(err)
	}
	expect(t, a, `workflow_connected r3 execute{"input":{"n":1}}`)
	s.RunUpdated(node("r1", "late", 4))
	s.RunUpdated(node("r2", "m", 3))
	expect(t, a)
	expect(t, b, "context_update r2 m")
	if a.runs["r1"] != 0 || a.runs["r3"] != 1 {
		t.Errorf("runs %v", a.runs)
	}

	s.Forget(b)
	s.Disconnect(a, "x")
	s.Disconnect(a, "never was")
	s.RunUpdated(node("r2", "o", 4))
	s.RunUpdated(node("r3", "o", 2))
	expect(t, a, "workflow_disconnected", "workflow_disconnected")
	expect(t, b)
	if len(s.sessions) != 0 || s.table.Len() != 0 || len(a.rooms)+len(a.runs) != 0 {
		t.Errorf("left: %v, %d runs, rooms %v %v", s.sessions, s.table.Len(), a.rooms, a.runs)
	}
	if strings.Join(runs.started, " ") != "r1 r2 r3" {
		t.Errorf("started %v", runs.started)
	}
}

func TestSubscribeAndReplay(t *testing.T) {
	runs := &fakeRuns{history: map[string]History{
		"live": {Updates: []Update{past("live", "a", 2)}, Through: 3, Status: events.RunRunning, Context: whole(`{"a":1}`)},
		"over": {Updates: []Update{past("over", "a", 2), end("over", 3)}, Through: 3, Status: events.RunCompleted, Context: whole(`{"a":1}`)},
	}}
	s := NewService(Options{Runs: runs, Widgets: owners{}, AutoRegister: true})
	a := newTab()
	connect := func(mode events.WidgetMode, run string) {
		t.Helper()
		if _, err := s.Connect(t.Context(), a, Connect{WidgetID: "x", InstanceID: run, Mode: mode}); err != nil {
			t.Fatal(err)
		}
	}
	connect(events.WidgetSubscribe, "live")
	s.RunUpdated(node("live", "a", 2)) // was in the context already
	s.RunUpdated(node("live", "b", 4))
	expect(t, a, `workflow_connected live subscribe{"a":1}`, "context_update live b")
	connect(events.WidgetSubscribe, "over")
	expect(t, a, `workflow_connected over subscribe{"a":1}`, "workflow_status over COMPLETED")
	connect(events.WidgetReplay, "over")
	expect(t, a, `workflow_connected over replay{"a":1}`, "context_update over a without context", "workflow_status over COMPLETED")
	if _, err := s.Refresh(t.Context(), a, "x", "", nil); err != nil {
		t.Fatal(err)
	}
	expect(t, a, `workflow_connected r1 execute{"input":{"from":"over"}}`)
}

// A widget that has seen some of a run gets the rest, with the context as it
// is; and is told if what it has is not of this run.
func TestSubscribeSince(t *testing.T) {
	runs := &fakeRuns{history: map[string]History{"live": {
		Updates: []Update{past("live", "a", 2), past("live", "b", 4)}, Through: 5, Status: events.RunRunning, Context: whole(`{"a":1}`),
	}}}
	const connected = `workflow_connected live subscribe{"a":1}`
	for _, tt := range []struct {
		since events.Since
		gap   bool
		want  []string
	}{
		{events.Since{Epoch: "e1", Offset: 5}, false, nil},
		{events.Since{Epoch: "e1", Offset: 2}, false, []string{"context_update live b"}},
		{events.Since{Epoch: "e1", Offset: 0}, false, []string{"context_update live a without context", "context_update live b"}},
		{events.Since{Epoch: "e0", Offset: 4}, true, []string{"gap", "context_update live a without context", "context_update live b"}},
		{events.Since{Epoch: "e1", Offset: 9}, true, []string{"gap"}},
	} {
		s := NewService(Options{Runs: runs, Widgets: owners{}, AutoRegister: true, Epoch: "e1"})
		a := newTab()
		done, err := s.Connect(t.Context(), a, Connect{WidgetID: "x", InstanceID: "live", Mode: events.WidgetSubscribe, Since: &tt.since})
		if err != nil || done.Gap != tt.gap || done.Through != 5 {
			t.Errorf("%+v: %+v %v", tt.since, done, err)
		}
		s.RunUpdated(node("live", "c", 6))
		got := slices.DeleteFunc(strings.Split(a.take(), "\n"), func(line string) bool { return strings.HasPrefix(line, "workflow_node_update") || line == "" })
		if want := append(append([]string{connected}, tt.want...), "context_update live c"); !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, want %q", tt.since, got, want)
		}
	}
	s := NewService(Options{Runs: runs, Widgets: owners{}})
	if _, err := s.Connect(t.Context(), newTab(), Connect{WidgetID: "x", WorkflowID: "w", Since: &events.Since{}}); err == nil {
		t.Error("since was taken for execute")
	}
}

// A widget that cannot be brought to its run is not bound, and hears nothing.
func TestFailuresLeaveNothing(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		runs   *fakeRuns
		refuse error
		mode   events.WidgetMode
	}{
		"execute, the run does not start":   {&fakeRuns{broken: boom}, nil, events.WidgetExecute},
		"execute, the room is closed":       {&fakeRuns{}, boom, events.WidgetExecute},
		"subscribe, the log cannot be read": {&fakeRuns{broken: boom}, nil, events.WidgetSubscribe},
		"subscribe, the session has ended":  {&fakeRuns{history: map[string]History{"r": {Through: 1, Status: events.RunRunning}}}, boom, events.WidgetSubscribe},
		"replay, the log cannot be read":    {&fakeRuns{broken: boom}, nil, events.WidgetReplay},
	} {
		s := NewService(Options{Runs: tt.runs, Widgets: owners{}, AutoRegister: true})
		a := newTab()
		a.refuse = tt.refuse
		_, err := s.Connect(t.Context(), a, Connect{WidgetID: "x", WorkflowID: "w", InstanceID: "r", Mode: tt.mode})
		if !errors.Is(err, boom) || len(s.sessions)+s.table.Len()+len(a.rooms)+len(a.runs) != 0 {
			t.Errorf("%s: %v, left %v, %d runs, rooms %v %v", name, err, s.sessions, s.table.Len(), a.rooms, a.runs)
		}
	}
}

// A subscriber that falls behind while it reads gets the rest from the log:
// every update once, and the latest with all variables.
func TestSubscriberFallsBehind(t *testing.T) {
	runs := &fakeRuns{history: map[string]History{"r": {Through: 1, Status: events.RunRunning, Context: whole(`{"at":1}`)}}}
	s := NewService(Options{Runs: runs, Widgets: owners{}, AutoRegister: true})
	a := newTab()
	const n = 300
	a.onConnected = func() {
		h := History{Through: n, Status: events.RunRunning, Context: whole(`{"at":300}`)}
		for i := uint64(2); i <= n; i++ {
			s.RunUpdated(node("r", fmt.Sprint(i), i))
			h.Updates = append(h.Updates, past("r", fmt.Sprint(i), i))
		}
		h.Updates = append(h.Updates, Update{RunID: "r", Offset: n, Payload: events.WorkflowDataCollectionRequest{}})
		runs.history["r"] = h
	}
	if _, err := s.Connect(t.Context(), a, Connect{WidgetID: "x", InstanceID: "r", Mode: events.WidgetSubscribe}); err != nil {
		t.Fatal(err)
	}
	s.RunUpdated(node("r", "next", n+1))
	want := []string{`workflow_connected r subscribe{"at":1}`}
	for i := 2; i < n; i++ {
		want = append(want, fmt.Sprintf("context_update r %d without context", i))
	}
	want = append(want, fmt.Sprintf("context_update r %d", n), "context_update r next")
	got := slices.DeleteFunc(strings.Split(a.take(), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "workflow_") && !strings.Contains(line, "connected")
	})
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%d events, want %d; the first that differs is number %d: %q", len(got), len(want), i, got[min(i, len(got)-1)])
		}
	}
	if a.drained < n/64 {
		t.Errorf("%d updates were sent in %d pages", n, a.drained+1)
	}
}

func TestForeignWidgets(t *testing.T) {
	strict := NewService(Options{Runs: &fakeRuns{}, Widgets: owners{"theirs": "other", "mine": "acme"}})
	lax := NewService(Options{Runs: &fakeRuns{}, Widgets: owners{"theirs": "other"}, AutoRegister: true})
	for _, tt := range []struct {
		s       *Service
		connect Connect
		code    events.Code
	}{
		{strict, Connect{WidgetID: "mine", WorkflowID: "w"}, ""},
		{strict, Connect{WidgetID: "new", WorkflowID: "w"}, events.CodeNotFound},
		{strict, Connect{WidgetID: "theirs", WorkflowID: "w"}, events.CodeNotFound},
		{lax, Connect{WidgetID: "new", WorkflowID: "w"}, ""},
		{lax, Connect{WidgetID: "theirs", WorkflowID: "w"}, events.CodeNotFound},
		{lax, Connect{WidgetID: "new", WorkflowID: "w", TenantID: "other"}, events.CodeNotFound},
		{lax, Connect{WidgetID: "new", WorkflowID: "foreign"}, events.CodeNotFound},
		{lax, Connect{WidgetID: "new"}, events.CodeValidation},
		{lax, Connect{WidgetID: "new", Mode: events.WidgetReplay}, events.CodeValidation},
		{lax, Connect{WidgetID: "new", Mode: "dance"}, events.CodeValidation},
	} {
		s := newTab()
		_, err := tt.s.Connect(t.Context(), s, tt.connect)
		var e *events.Error
		errors.As(err, &e)
		if (tt.code == "") != (err == nil) || e != nil && e.Code != tt.code {
			t.Errorf("%+v: %v", tt.connect, err)
		}
		if err != nil && (s.take() != "" || len(s.rooms) > 0) {
			t.Errorf("%+v: something happened all the same", tt.connect)
		}
	}
}
