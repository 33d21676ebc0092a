package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/journal"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

var (
	admin   = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}
	member  = &auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	foreign = &auth.Identity{User: "eve", Tenants: []auth.Membership{{ID: "other", Role: auth.Admin}}}
)

// fixture is a service on a database of its own.
type fixture struct {
	t     testing.TB
	svc   *workflow.Service
	eng   *journal.Engine
	db    *store.DB
	path  string
	quiet bool
	log   *bytes.Buffer

	mu        sync.Mutex
	published []string // events of all runs as name and payload
	changed   *sync.Cond
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "w.db"), log: &bytes.Buffer{}}
	sqlitetest.Make(t, f.path)
	f.changed = sync.NewCond(&f.mu)
	f.open()
	t.Cleanup(f.close)
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	if f.db, err = sqlite.Open(context.Background(), f.path); err != nil {
		f.t.Fatal(err)
	}
	f.build(f.db.Workflows(), journal.Options{})
}

// build makes the service and its engine.
func (f *fixture) build(s workflow.Store, opts journal.Options) {
	types := nodes.All(nodes.Options{AllowPrivate: true})
	opts.Store, opts.Types, opts.Feed = s, types, workflow.NewFeed(f, slog.New(slog.DiscardHandler))
	f.eng = journal.New(opts)
	f.svc = workflow.NewService(workflow.ServiceOptions{Store: s, Engine: f.eng, Feed: opts.Feed, Types: types})
}

func (f *fixture) close() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.eng.Close(ctx); err != nil {
		f.t.Error(err)
	}
	f.db.Close()
}

// Publish implements workflow.Publisher.
func (f *fixture) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	if f.quiet {
		return nil
	}
	raw, err := json.Marshal(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, fmt.Sprintf("%s %s", p.EventName(), raw))
	f.changed.Broadcast()
	return err
}

// await returns when an event that contains text has been published.
func (f *fixture) await(text string) string {
	f.t.Helper()
	late := time.AfterFunc(10*time.Second, func() {
		f.mu.Lock()
		f.published = append(f.published, "timeout")
		f.mu.Unlock()
		f.changed.Broadcast()
	})
	defer late.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for _, e := range f.published {
			if strings.Contains(e, text) {
				return e
			}
			if e == "timeout" {
				f.t.Fatalf("%q was not published, but\n%s", text, strings.Join(f.published, "\n"))
			}
		}
		f.changed.Wait()
	}
}

func def(t testing.TB, raw string) graph.Definition {
	t.Helper()
	var d graph.Definition
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// linear makes a definition of nodes in a row, given as JSON.
func linear(t testing.TB, list ...string) graph.Definition {
	t.Helper()
	var edges []string
	for i := 1; i < len(list); i++ {
		edges = append(edges, fmt.Sprintf(`{"source":"n%d","target":"n%d"}`, i-1, i))
	}
	for i := range list {
		list[i] = fmt.Sprintf(`{"id":"n%d",%s`, i, list[i][1:])
	}
	return def(t, `{"nodes":[`+strings.Join(list, ",")+`],"edges":[`+strings.Join(edges, ",")+`]}`)
}

func (f *fixture) run(d graph.Definition, input map[string]any) workflow.Run {
	f.t.Helper()
	w, err := f.svc.Create(f.t.Context(), admin, "acme", "W", d)
	if err != nil {
		f.t.Fatal(err)
	}
	run, err := f.svc.Execute(f.t.Context(), member, w.ID, input)
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

// finish waits for the end of a run and returns its events.
func (f *fixture) finish(run workflow.Run) []string {
	f.t.Helper()
	f.await(`workflow_status_update {"instanceID":"` + run.ID)
	f.mu.Lock()
	defer f.mu.Unlock()
	var mine []string
	for _, e := range f.published {
		if strings.Contains(e, run.ID) {
			mine = append(mine, strings.ReplaceAll(e, run.ID, "RUN"))
		}
	}
	return mine
}

const startNode = `{"type":"start"}`

func transform(expression, variable string) string {
	b, _ := json.Marshal(map[string]any{"type": "transform", "data": map[string]any{"expression": expression, "outputVariable": variable}})
	return string(b)
}

func TestRunPublishesWhatItsLogSays(t *testing.T) {
	f := newFixture(t)
	run := f.run(linear(t, startNode, transform("input.n * 21", "answer"),
		`{"type":"end","data":{"outputParameters":[{"name":"answer","sourceVariable":"{{ctx.answer}}"}]}}`), map[string]any{"n": 2})
	got := f.finish(run)
	want := []string{
		`workflow_node_update {"instanceID":"RUN","nodeID":"n0","status":"success","output":{"inputReceived":{"n":2},"started":true}}`,
		`workflow_node_update {"instanceID":"RUN","nodeID":"n1","status":"success","output":42}`,
		`workflow_node_update {"instanceID":"RUN","nodeID":"n2","status":"success","output":{"completedAt":`,
		`workflow_status_update {"instanceID":"RUN","status":"COMPLETED","contextData":{"answer":42,"input":{"n":2}},"output":{"answer":42}}`,
	}
	if len(got) != len(want) {
		t.Fatalf("got\n%s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("event %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	// Who comes late reads the same from the log.
	run, err := f.svc.Run(t.Context(), member, auth.ReadRuns, run.ID)
	if err != nil || run.Status != events.RunCompleted || run.EndedAt.IsZero() {
		t.Fatalf("%+v %v", run, err)
	}
	history, err := f.svc.History(t.Context(), run, 0)
	updates, through := history.Updates, history.Through
	if err != nil || len(updates) != 4 {
		t.Fatalf("%d updates, %v", len(updates), err)
	}
	for i, u := range updates {
		raw, _ := json.Marshal(u.Payload)
		if line := strings.ReplaceAll(u.Payload.EventName()+" "+string(raw), run.ID, "RUN"); line != got[i] {
			t.Errorf("update %d is\n%s\nwas published as\n%s", i, line, got[i])
		}
	}
	if through != updates[3].Offset {
		t.Errorf("through %d, last offset %d", through, updates[3].Offset)
	}
	rest, _ := f.svc.History(t.Context(), run, updates[1].Offset)
	if len(rest.Updates) != 2 {
		t.Errorf("%d updates after the second", len(rest.Updates))
	}
}

// The parts of a history belong together, even if the run was read before it
// went on: a state that does not know of the end must not come with the end.
func TestHistoryIsOneReading(t *testing.T) {
	f := newFixture(t)
	w, err := f.svc.Create(t.Context(), admin, "acme", "W", linear(t, startNode, transform("1", "r")))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := f.svc.Draft(t.Context(), member, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := draft.Run // as it was before it began
	if _, err := f.svc.Launch(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	f.finish(run)
	h, err := f.svc.History(t.Context(), run, 0)
	last := h.Updates[len(h.Updates)-1]
	if err != nil || h.Run.Status != events.RunCompleted || last.Status != events.RunCompleted || h.Through != last.Offset || h.Context["r"] != 1 {
		t.Errorf("at the end: %+v, %v", h, err)
	}
	for _, u := range h.Updates[:len(h.Updates)-1] {
		if u.Context != nil {
			t.Errorf("update %d brings all variables", u.Offset)
		}
	}
}

// Starting a run again does nothing, whether it goes on, is over, or both
// starts come at once.
func TestStartTwice(t *testing.T) {
	f := newFixture(t)
	d := linear(t, startNode, form)
	w, err := f.svc.Create(t.Context(), admin, "acme", "W", d)
	if err != nil {
		t.Fatal(err)
	}
	draft, err := f.svc.Draft(t.Context(), member, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := draft.Run
	start := func() {
		if _, err := f.svc.Launch(t.Context(), draft); err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(start)
	}
	all.Wait()
	f.await("workflow_data_collection_request")
	start()
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{Data: map[string]any{"ok": true}}); err != nil {
		t.Fatal(err)
	}
	got := f.finish(run)
	start()
	again, err := f.svc.History(t.Context(), run, 0)
	if err != nil || len(got) != 4 || len(again.Updates) != 4 || again.Run.Status != events.RunCompleted {
		t.Errorf("%v; published %v", err, got)
	}
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{}); code(err) != events.CodeConflict {
		t.Errorf("after the end: %v", err)
	}
}

// A run that evaluates something long stops when it is told to.
func TestStopEndsAnEvaluation(t *testing.T) {
	f := newFixture(t)
	f.run(linear(t, startNode, transform("let a = 1..900; all(a, all(a, all(a, true)))", "r")), nil)
	f.await(`"nodeID":"n0"`) // close waits for nodes
}

func TestConditionAndErrorHandling(t *testing.T) {
	f := newFixture(t)
	branch := `{"nodes":[{"id":"s","type":"start"},
		{"id":"c","type":"condition","data":{"branches":[
			{"id":"big","conditionLogic":"AND","conditions":[{"leftValue":"{{input.n}}","operator":"greater_than","rightValue":"10"},{"leftValue":"{{input.name}}","operator":"is_not_empty"}]},
			{"id":"odd","condition":"{{ input.n % 2 == 1 }}"}]}},
		{"id":"big","type":"transform","data":{"expression":"\"big\"","outputVariable":"r"}},
		{"id":"odd","type":"transform","data":{"expression":"\"odd\"","outputVariable":"r"}},
		{"id":"other","type":"transform","data":{"expression":"\"other\"","outputVariable":"r"}}],
		"edges":[{"source":"s","target":"c"},{"source":"c","target":"big","sourceHandle":"big"},{"source":"c","target":"odd","sourceHandle":"odd"},{"source":"c","target":"other","sourceHandle":"default"}]}`
	for _, tt := range []struct {
		input map[string]any
		want  string
	}{
		{map[string]any{"n": 11, "name": "x"}, "big"}, {map[string]any{"n": 11}, "odd"}, {map[string]any{"n": 4, "name": "x"}, "other"},
	} {
		got := f.finish(f.run(def(t, branch), tt.input))
		if last := got[len(got)-1]; !strings.Contains(last, `"r":"`+tt.want+`"`) {
			t.Errorf("%v: %s", tt.input, last)
		}
	}
	failing := func(handling string) string {
		return `{"type":"transform","data":{"expression":"1 / ctx.nothing.x()","errorHandling":"` + handling + `","defaultValue":7,"outputVariable":"r"}}`
	}
	for _, tt := range []struct{ handling, want string }{
		{"fail_workflow", `"status":"FAILED"`}, {"continue", `"status":"COMPLETED","contextData":{"done":1,"input":{},"r":null`}, {"continue_default", `"status":"COMPLETED","contextData":{"done":1,"input":{},"r":7`},
	} {
		got := f.finish(f.run(linear(t, startNode, failing(tt.handling), transform("1", "done")), nil))
		if last := got[len(got)-1]; !strings.Contains(last, tt.want) {
			t.Errorf("%s: %s", tt.handling, last)
		}
		if !strings.Contains(got[1], `"status":"failed"`) || !strings.Contains(got[1], `"error":"`) {
			t.Errorf("%s: node update %s", tt.handling, got[1])
		}
	}
}

const form = `{"type":"dataCollection","data":{"title":"Hello {{input.name}}","outputVariable":"answer","formSchema":{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}}}`

func code(err error) events.Code {
	var e *events.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestDataCollection(t *testing.T) {
	f := newFixture(t)
	run := f.run(linear(t, startNode, form, transform("ctx.answer.ok", "r")), map[string]any{"name": "Ada"})
	asked := f.await("workflow_data_collection_request")
	if !strings.Contains(asked, `"title":"Hello Ada"`) || !strings.Contains(asked, `"expiryMinutes":60`) || !strings.Contains(asked, `"formSchema":{`) {
		t.Errorf("asked %s", asked)
	}
	state, err := f.svc.State(t.Context(), run)
	if err != nil || len(state.Pending) != 1 {
		t.Fatalf("%+v %v", state, err)
	}
	id := state.Pending[0].CollectionRequestID
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: id, Data: map[string]any{"ok": "yes"}}); code(err) != events.CodeValidation {
		t.Errorf("input of the wrong shape: %v", err)
	}
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: "other", Data: nil}); code(err) != events.CodeNotFound {
		t.Errorf("unknown request: %v", err)
	}
	if found, err := f.svc.RunOfRequest(t.Context(), member, "acme", id); err != nil || found.ID != run.ID {
		t.Errorf("%v %v", found.ID, err)
	}
	if _, err := f.svc.RunOfRequest(t.Context(), foreign, "acme", id); code(err) != events.CodeNotFound {
		t.Errorf("foreign request: %v", err)
	}
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: id, Data: map[string]any{"ok": true}}); err != nil {
		t.Fatal(err)
	}
	got := f.finish(run)
	if want := `"nodeID":"n1","status":"success","output":{"answer":{"ok":true},"success":true}`; !strings.Contains(got[2], want) {
		t.Errorf("update %s", got[2])
	}
	if !strings.Contains(got[len(got)-1], `"r":true`) {
		t.Errorf("end %s", got[len(got)-1])
	}
	if err := f.svc.Submit(t.Context(), member, run, workflow.Input{RequestID: id}); code(err) != events.CodeConflict {
		t.Errorf("second answer: %v", err)
	}
}

// The answer of a request that was carried out, and whose server died before it
// could say so, is confirmed when the request comes again.
func TestAnswerThatComesAgain(t *testing.T) {
	f := newFixture(t)
	run := f.run(linear(t, startNode, form, transform("ctx.answer.ok", "r")), nil)
	f.await("workflow_data_collection_request")
	state, err := f.svc.State(t.Context(), run)
	if err != nil || len(state.Pending) != 1 {
		t.Fatalf("%+v %v", state, err)
	}
	id := state.Pending[0].CollectionRequestID
	died := errors.New("it died")
	requests := once.New(once.Options{Store: f.db.Once()})
	send := func(key string, after error) error {
		_, _, err := requests.Do(t.Context(), once.Name{User: "bob", Event: "submit", ID: key}, "hash", func(ctx context.Context) ([]byte, error) {
			run, err := f.svc.RunOfRequest(ctx, member, "acme", id)
			if err == nil {
				err = f.svc.Submit(ctx, member, run, workflow.Input{RequestID: id, Data: map[string]any{"ok": true}})
			}
			return []byte("{}"), errors.Join(err, after)
		})
		return err
	}
	if err := send("first", died); !errors.Is(err, died) || code(err) != "" {
		t.Fatal(err)
	}
	f.finish(run)
	if err := send("first", nil); err != nil {
		t.Errorf("the answer that counts: %v", err)
	}
	if err := send("second", nil); code(err) != events.CodeNotFound {
		t.Errorf("another answer: %v", err)
	}
}

func TestWidgetInput(t *testing.T) {
	f := newFixture(t)
	run := f.run(linear(t, startNode, form, transform("ctx.__widgetInput.inputType", "kind")), nil)
	f.await("workflow_data_collection_request")
	if err := f.svc.WidgetInput(t.Context(), member, run, map[string]any{"inputType": "filter_change", "data": 1}, false); err != nil {
		t.Error(err)
	}
	if err := f.svc.WidgetInput(t.Context(), member, run, map[string]any{"inputType": "form_submit", "data": "wrong"}, true); code(err) != events.CodeValidation {
		t.Errorf("wrong form: %v", err)
	}
	if err := f.svc.WidgetInput(t.Context(), member, run, map[string]any{"inputType": "form_submit", "data": map[string]any{"ok": true}}, true); err != nil {
		t.Error(err)
	}
	got := f.finish(run)
	if last := got[len(got)-1]; !strings.Contains(last, `"kind":"form_submit"`) || strings.Contains(last, "__widgetInput") {
		t.Errorf("end %s", last)
	}
	if err := f.svc.WidgetInput(t.Context(), member, run, nil, false); code(err) != events.CodeConflict {
		t.Errorf("after the end: %v", err)
	}
}

// Runs survive the end of their process. Those that wait go on waiting; of
// those in the middle of a node, the node begins again, under the same key.
func TestRestart(t *testing.T) {
	f := newFixture(t)
	keys := make(chan string, 2)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("X-Key")
		if len(keys) == 1 {
			<-r.Context().Done()
		}
	}))
	defer busy.Close()
	waiting := f.run(linear(t, startNode, form), nil)
	delayed := f.run(linear(t, startNode, `{"type":"delay","data":{"delayMs":300}}`, transform("1", "r")), nil)
	calling := f.run(linear(t, startNode, `{"type":"http","data":{"url":"`+busy.URL+`","headers":{"X-Key":"k"}}}`), nil)
	f.await("workflow_data_collection_request")
	eventually.True(t, func() bool { // the delay and the call have begun
		state, err := f.svc.State(t.Context(), delayed)
		return err == nil && state.Log[len(state.Log)-1].Type == interpreter.NodeSuspended && len(keys) == 1
	})
	f.eng.Lost() // as if the process had been killed
	f.close()
	f.mu.Lock()
	f.published = nil
	f.mu.Unlock()
	f.open()
	if err := f.eng.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.finish(calling); !strings.Contains(got[len(got)-1], `"status":"COMPLETED"`) || len(keys) != 2 || f.eng.Counts().Repeated != 1 {
		t.Errorf("run in the middle of a node: %v, called %d times, %+v", got, len(keys), f.eng.Counts())
	}
	if got := f.finish(delayed); !strings.Contains(got[len(got)-1], `"status":"COMPLETED"`) || len(got) != 3 {
		t.Errorf("delayed run: %v", got)
	}
	if err := f.svc.Submit(t.Context(), member, waiting, workflow.Input{Data: map[string]any{"ok": true}}); err != nil {
		t.Error(err)
	}
	if got := f.finish(waiting); !strings.Contains(got[len(got)-1], `"status":"COMPLETED"`) {
		t.Errorf("waiting run: %v", got)
	}
}

func TestStop(t *testing.T) {
	f := newFixture(t)
	run := f.run(linear(t, startNode, form), nil)
	f.await("workflow_data_collection_request")
	if err := f.svc.Stop(t.Context(), member, run); err != nil {
		t.Fatal(err)
	}
	got := f.finish(run)
	if !strings.Contains(got[len(got)-1], `"status":"STOPPED"`) {
		t.Errorf("end %s", got[len(got)-1])
	}
	if err := f.svc.Stop(t.Context(), member, run); code(err) != events.CodeConflict {
		t.Errorf("stopping again: %v", err)
	}
}

func TestRightsAreAsked(t *testing.T) {
	f := newFixture(t)
	d := linear(t, startNode)
	run := f.run(d, nil)
	f.finish(run)
	ctx := t.Context()
	for name, tt := range map[string]struct {
		err  error
		want events.Code
	}{
		"create as member":       {second(f.svc.Create(ctx, member, "acme", "W", d)), events.CodePermissionDenied},
		"create elsewhere":       {second(f.svc.Create(ctx, foreign, "acme", "W", d)), events.CodeNotFound},
		"list elsewhere":         {second(f.svc.List(ctx, foreign, "acme")), events.CodeNotFound},
		"read foreign":           {second(f.svc.Get(ctx, foreign, auth.ReadWorkflows, run.WorkflowID)), events.CodeNotFound},
		"read unknown":           {second(f.svc.Get(ctx, member, auth.ReadWorkflows, "nothing")), events.CodeNotFound},
		"change as member":       {second(f.svc.Change(ctx, member, run.WorkflowID, "X", nil)), events.CodePermissionDenied},
		"delete as member":       {f.svc.Delete(ctx, member, run.WorkflowID), events.CodePermissionDenied},
		"execute foreign":        {second(f.svc.Execute(ctx, foreign, run.WorkflowID, nil)), events.CodeNotFound},
		"run foreign":            {second(f.svc.Run(ctx, foreign, auth.ReadRuns, run.ID)), events.CodeNotFound},
		"stop as member":         {second(f.svc.Run(ctx, member, auth.StopRuns, run.ID)), events.CodePermissionDenied},
		"runs elsewhere":         {second(f.svc.Runs(ctx, foreign, "acme", "", 1)), events.CodeNotFound},
		"newest foreign":         {second(f.svc.Newest(ctx, foreign, run.WorkflowID)), events.CodeNotFound},
		"test as member":         {second(f.svc.Test(ctx, member, "acme", d, nil)), events.CodePermissionDenied},
		"test elsewhere":         {second(f.svc.Test(ctx, foreign, "acme", d, nil)), events.CodeNotFound},
		"create without a title": {second(f.svc.Create(ctx, admin, "acme", "", d)), events.CodeValidation},
	} {
		if code(tt.err) != tt.want {
			t.Errorf("%s: %v, want %s", name, tt.err, tt.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The http node: what it sends and returns, and what it does not reach.
func TestHTTPNode(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			var body any
			json.NewDecoder(r.Body).Decode(&body)
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "body": body, "key": r.Header.Get("X-Key")})
		case "/large":
			w.Write(make([]byte, 2<<20))
		case "/slow":
			<-r.Context().Done()
		case "/redirect":
			http.Redirect(w, r, "/redirect", http.StatusFound)
		default:
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	defer server.Close()
	node := func(data string) string {
		return `{"type":"http","data":` + strings.ReplaceAll(data, "URL", server.URL) + `}`
	}
	f := newFixture(t)
	got := f.finish(f.run(linear(t, startNode, node(`{"url":"URL/echo","method":"POST","headers":{"X-Key":"{{input.key}}"},"body":{"n":"{{input.n}}"},"outputVariable":"r"}`)), map[string]any{"key": "k", "n": 3}))
	if want := `"body":{"body":{"n":3},"key":"k","method":"POST"}`; !strings.Contains(got[len(got)-1], want) || !strings.Contains(got[len(got)-1], `"status":200`) {
		t.Errorf("got %s", got[len(got)-1])
	}
	for path, want := range map[string]string{"/large": "larger than", "/slow": "no answer within 1s", "/redirect": "redirects", "/teapot": "418"} {
		got := f.finish(f.run(linear(t, startNode, node(`{"url":"URL`+path+`","timeoutSeconds":1}`)), nil))
		if last := got[len(got)-1]; !strings.Contains(last, `"status":"FAILED"`) || !strings.Contains(last, want) {
			t.Errorf("%s: %s", path, last)
		}
	}
	// Without leave, private addresses are refused by what they are, however
	// they are written and wherever a redirect leads.
	guarded := nodes.All(nodes.Options{})["http"]
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "0.0.0.0:" + port, "2130706433:" + port, "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1", "[fe80::1]", "[fc00::1]", "100.64.0.1", "[64:ff9b::7f00:1]"} {
		_, err := guarded.Run(t.Context(), nodes.Call{Data: nodes.Data{"url": "http://" + host + "/echo", "timeoutSeconds": 1.0}})
		if err == nil || !strings.Contains(err.Error(), "private") && !strings.Contains(err.Error(), "no such host") && !strings.Contains(err.Error(), "lookup") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A run that only computes does not wait for what the nodes of others do.
func TestStartingWaitsForNobody(t *testing.T) {
	f := newFixture(t)
	release := make(chan struct{})
	busy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer busy.Close()
	f.close()
	f.open()
	f.build(f.db.Workflows(), journal.Options{Parallel: 1})
	first := f.run(linear(t, startNode, `{"type":"http","data":{"url":"`+busy.URL+`"}}`), nil)
	eventually.True(t, func() bool {
		state, err := f.svc.State(t.Context(), first)
		return err == nil && state.Log[len(state.Log)-1].Type == interpreter.NodeDispatched
	})
	if got := f.finish(f.run(linear(t, startNode, transform("1", "r")), nil)); !strings.Contains(got[len(got)-1], "COMPLETED") {
		t.Errorf("%v", got)
	}
	close(release)
	f.finish(first)
}
