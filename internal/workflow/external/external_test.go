package external_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/external"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

var (
	publisher = &auth.Identity{User: "engine", Tenants: []auth.Membership{{ID: "acme", Role: auth.Publisher}}}
	admin     = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}
	member    = &auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	foreign   = &auth.Identity{User: "eve", Tenants: []auth.Membership{{ID: "other", Role: auth.Admin}}}
)

// world is several instances on one database, and who listens to each.
type world struct {
	t         *testing.T
	instances []*instance
}

// instance is one of them. What it publishes reaches the clients of all.
type instance struct {
	world   *world
	svc     *workflow.Service
	eng     *external.Engine
	feed    *workflow.Feed
	clients *rooms.Table[*client]
	mute    atomic.Bool // nothing it says is heard: it dies before it has said it
}

// client is somebody in the room of a run.
type client struct {
	mu  sync.Mutex
	got []string // offset, event and payload
}

func (c *client) take(offset uint64, p events.Payload) {
	raw, _ := json.Marshal(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, fmt.Sprintf("%d %s %s", offset, p.EventName(), raw))
}

func (c *client) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// databases open one database several times.
var databases = map[string]func(t *testing.T) (open func() *store.DB, several bool){
	"sqlite": func(t *testing.T) (func() *store.DB, bool) {
		path := filepath.Join(t.TempDir(), "w.db")
		sqlitetest.Make(t, path)
		return func() *store.DB {
			db, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			return db
		}, false
	},
	"postgres": func(t *testing.T) (func() *store.DB, bool) {
		url := postgrestest.URL(t)
		return func() *store.DB {
			db, err := postgres.Open(t.Context(), postgres.Options{URL: url, MaxConns: 4})
			if err != nil {
				t.Fatal(err)
			}
			return db
		}, true
	},
}

// each runs a test on every database, with so many instances on those that
// take several.
func each(t *testing.T, n int, fn func(t *testing.T, w *world)) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			open, several := database(t)
			instances := n
			if !several {
				instances = 1
			}
			w := &world{t: t}
			for range instances {
				w.join(open())
			}
			fn(t, w)
		})
	}
}

// contract is that of all instances; to read it takes its time.
var contract = sync.OnceValues(func() (*asyncapi.Contract, error) {
	doc, err := asyncapi.SocketEvents()
	if err != nil {
		return nil, err
	}
	return asyncapi.NewContract(doc, asyncapi.Enforce, slog.New(slog.DiscardHandler))
})

func (w *world) join(db *store.DB) {
	w.t.Cleanup(func() { db.Close() })
	contract, err := contract()
	if err != nil {
		w.t.Fatal(err)
	}
	i := &instance{world: w}
	i.feed = workflow.NewFeed(i, slog.New(slog.DiscardHandler))
	i.eng = external.New(external.Options{
		Store: db.Workflows(), Feed: i.feed, MaxBatch: 100, MaxResult: 1000, Keep: 2,
		Check: func(event string, payload []byte) error { return contract.Publication("/", event, payload) },
	})
	own := journal.New(journal.Options{Store: db.Workflows(), Feed: i.feed})
	i.svc = workflow.NewService(workflow.ServiceOptions{Store: db.Workflows(), Engine: own, Others: []workflow.Engine{i.eng}, Feed: i.feed})
	i.clients = rooms.New(rooms.Options[*client]{Missed: i.missed})
	w.instances = append(w.instances, i)
}

// missed is the log as rooms fetch it.
func (i *instance) missed(room string, after, until uint64) (all []rooms.Publication[*client]) {
	updates, _, err := i.svc.Published(i.world.t.Context(), room, after, until)
	if err != nil {
		i.world.t.Error(err)
	}
	for _, u := range updates {
		all = append(all, publication(u.Position(), u.Payload))
	}
	return all
}

func publication(pos cluster.Position, p events.Payload) rooms.Publication[*client] {
	return rooms.Publication[*client]{Position: pos, Deliver: func(c *client, _ bool) { c.take(pos.Offset, p) }}
}

// Publish implements workflow.Publisher.
func (i *instance) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	if i.mute.Load() {
		return errors.New("gone")
	}
	for _, to := range i.world.instances {
		to.clients.Publish(string(room), publication(pos, p))
	}
	return nil
}

// listen puts a client of an instance into the room of a run, from its
// beginning.
func (i *instance) listen(run workflow.Run) *client {
	c := &client{}
	err := i.clients.Follow(run.ID, c, 0, func(after uint64) (uint64, error) {
		h, err := i.svc.History(i.world.t.Context(), run, after)
		for _, u := range h.Updates {
			c.take(u.Offset, u.Payload)
		}
		return h.Through, err
	})
	if err != nil {
		i.world.t.Fatal(err)
	}
	return c
}

func (i *instance) announce() workflow.Run {
	i.world.t.Helper()
	run, err := i.svc.Announce(i.world.t.Context(), publisher, "acme", workflow.Announcement{Title: "T", Input: map[string]any{"n": 1}})
	if err != nil {
		i.world.t.Fatal(err)
	}
	return run
}

// report reports events given as JSON, which are numbered from a sequence.
func (i *instance) report(run workflow.Run, from uint64, list ...string) (external.Receipt, error) {
	all := make([]external.Event, len(list))
	for n, text := range list {
		if err := json.Unmarshal([]byte(text), &all[n]); err != nil {
			i.world.t.Error(err)
		}
		all[n].Sequence = from + uint64(n)
	}
	return i.eng.Report(i.world.t.Context(), run, all)
}

func (i *instance) mustReport(run workflow.Run, from uint64, list ...string) external.Receipt {
	i.world.t.Helper()
	receipt, err := i.report(run, from, list...)
	if err != nil {
		i.world.t.Fatal(err)
	}
	return receipt
}

// node is an event of a node that is done.
func node(n int) string {
	return fmt.Sprintf(`{"type":"node_update","nodeID":"n%d","nodeType":"task","status":"success","output":{"n":%d},"outputVariable":"v%d"}`, n, n, n%3)
}

const (
	form = `{"type":"data_collection_request","nodeID":"ask","collectionConfig":{"title":"How many?","formSchema":{"type":"object","required":["n"],"properties":{"n":{"type":"number"}}},"outputVariable":"answer"}}`
	end  = `{"type":"status_update","status":"COMPLETED","output":{"sum":3}}`
)

func code(err error) string {
	e, meant := events.Public(err)
	if err == nil || !meant {
		return fmt.Sprint(err)
	}
	return string(e.Code) + " " + e.Field
}

func TestReportedRunLooksLikeAnyOther(t *testing.T) {
	each(t, 1, func(t *testing.T, w *world) {
		i := w.instances[0]
		run := i.announce()
		early := i.listen(run)
		if st, _ := i.svc.State(t.Context(), run); st.Run.Status != events.RunPending {
			t.Errorf("before anything is reported it is %s", st.Run.Status)
		}
		receipt := i.mustReport(run, 1, node(1),
			`{"type":"node_update","nodeID":"n2","nodeType":"task","status":"failed","error":"too hot"}`,
			`{"type":"context_set","key":"mood","value":"good"}`, form)
		if receipt != (external.Receipt{Accepted: 4, Offset: 5, Next: 5}) {
			t.Errorf("receipt %+v", receipt)
		}
		st, err := i.svc.State(t.Context(), run)
		if err != nil || st.Run.Status != events.RunRunning || st.Context["mood"] != "good" || len(st.Pending) != 1 {
			t.Fatalf("%v %+v", err, st)
		}
		request := st.Pending[0].CollectionRequestID
		of, err := i.svc.RunOfRequest(t.Context(), member, "acme", request)
		if err != nil || of.ID != run.ID {
			t.Fatalf("the request is of run %s, %v", of.ID, err)
		}
		err = i.svc.Submit(t.Context(), member, of, workflow.Input{RequestID: request, Data: map[string]any{"n": "x"}, Field: "submittedData"})
		if code(err) != "VALIDATION_ERROR submittedData.n" {
			t.Error(err)
		}
		answer := workflow.Input{RequestID: request, Data: map[string]any{"n": 2}, Field: "submittedData"}
		if err := i.svc.Submit(t.Context(), member, of, answer); err != nil {
			t.Fatal(err)
		}
		if err := i.svc.Submit(t.Context(), member, of, answer); code(err) != "NOT_FOUND " {
			t.Errorf("a second answer: %v", err)
		}
		i.mustReport(run, 5, end)
		late := i.listen(run)
		want := []string{
			`2 workflow_node_update {"instanceID":"RUN","nodeID":"n1","status":"success","output":{"n":1}}`,
			`3 workflow_node_update {"instanceID":"RUN","nodeID":"n2","status":"failed","output":null,"error":"too hot"}`,
			`5 workflow_data_collection_request {"instanceID":"RUN","nodeID":"ask","collectionRequestID":"` + request + `","collectionType":"form",` +
				`"collectionConfig":{"collectionType":"form","title":"How many?","formSchema":{"type":"object","required":["n"],"properties":{"n":{"type":"number"}}},"outputVariable":"answer","expiryMinutes":0}}`,
			`6 workflow_node_update {"instanceID":"RUN","nodeID":"ask","status":"success","output":{"answer":{"n":2},"success":true}}`,
			`7 workflow_status_update {"instanceID":"RUN","status":"COMPLETED","contextData":{"answer":{"n":2},"input":{"n":1},"mood":"good","v1":{"n":1}},"output":{"sum":3}}`,
		}
		for n := range want {
			want[n] = strings.ReplaceAll(want[n], "RUN", run.ID)
		}
		for name, c := range map[string]*client{"early": early, "late": late} {
			got := c.heard()
			for n := range got {
				got[n] = duration.ReplaceAllString(got[n], "") // of the person's answer
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("who came %s heard\n%s\nnot\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

var duration = regexp.MustCompile(`,"duration":\d+`)

func TestWhatIsReportedTwiceHappensOnce(t *testing.T) {
	each(t, 2, func(t *testing.T, w *world) {
		first, other := w.instances[0], w.instances[len(w.instances)-1]
		run := first.announce()
		c := first.listen(run)
		first.mustReport(run, 1, node(1), node(2), form)
		for _, tt := range []struct {
			from uint64
			list []string
			want external.Receipt
			code string
			next uint64
		}{
			{1, []string{node(1), node(2), form}, external.Receipt{Repeated: 3, Offset: 4, Next: 4}, "", 0},
			{2, []string{node(2)}, external.Receipt{Repeated: 1, Offset: 4, Next: 4}, "", 0},
			{1, []string{`{"outputVariable":"v1","output": { "n" : 1 },"nodeID":"n1","nodeType":"task","status":"success","type":"node_update"}`}, external.Receipt{Repeated: 1, Offset: 4, Next: 4}, "", 0},
			{1, []string{node(1), node(3)}, external.Receipt{Offset: 4, Next: 4}, "CONFLICT events[1]", 0},
			{3, []string{node(3)}, external.Receipt{Offset: 4, Next: 4}, "CONFLICT events[0]", 0},
			{5, []string{node(5)}, external.Receipt{Offset: 4, Next: 4}, "CONFLICT events[0].sequence", 4},
			{3, []string{form, node(4)}, external.Receipt{Accepted: 1, Repeated: 1, Offset: 5, Next: 5}, "", 0},
			{4, []string{node(4), end}, external.Receipt{Accepted: 1, Repeated: 1, Offset: 6, Next: 6}, "", 0},
			{4, []string{node(4), end}, external.Receipt{Repeated: 2, Offset: 6, Next: 6}, "", 0},
			{6, []string{node(6)}, external.Receipt{}, "CONFLICT ", 0},
		} {
			receipt, err := other.report(run, tt.from, tt.list...)
			if tt.code != "" {
				var gap *external.Gap
				if code(err) != tt.code || errors.As(err, &gap) != (tt.next > 0) || gap != nil && gap.Expected != tt.next {
					t.Errorf("%d %v: %v", tt.from, tt.list, err)
				}
			} else if err != nil || receipt != tt.want {
				t.Errorf("%d %v: %+v, %v", tt.from, tt.list, receipt, err)
			}
		}
		expect(t, c, 2, 3, 4, 5, 6)
	})
}

// expect waits until a client has heard of these offsets, in this order, and
// nothing else.
func expect(t *testing.T, c *client, offsets ...uint64) {
	t.Helper()
	eventually.True(t, func() bool { return len(c.heard()) >= len(offsets) }, func() string { return strings.Join(c.heard(), "\n") })
	var got []uint64
	for _, line := range c.heard() {
		var n uint64
		fmt.Sscan(line, &n)
		got = append(got, n)
	}
	if !slices.Equal(got, offsets) {
		t.Errorf("heard %v, not %v", got, offsets)
	}
}

func TestWhatDoesNotFitIsNamed(t *testing.T) {
	each(t, 1, func(t *testing.T, w *world) {
		i := w.instances[0]
		run, second := i.announce(), i.announce()
		used := uuid.NewString()
		i.mustReport(second, 1, strings.Replace(form, `"nodeID"`, `"collectionRequestID":"`+used+`","nodeID"`, 1))
		big := `"` + strings.Repeat("x", 1000) + `"`
		for event, want := range map[string]string{
			`{}`:                                  "VALIDATION_ERROR events[1].type",
			`{"type":"node_begun"}`:               "VALIDATION_ERROR events[1].type",
			`{"type":"node_update"}`:              "VALIDATION_ERROR events[1].nodeID",
			`{"type":"node_update","nodeID":"n"}`: "VALIDATION_ERROR events[1].status",
			`{"type":"node_update","nodeID":"n","status":"running"}`:                                                               "VALIDATION_ERROR events[1].status",
			`{"type":"node_update","nodeID":"n","status":"success","error":"x"}`:                                                   "VALIDATION_ERROR events[1].error",
			`{"type":"node_update","nodeID":"n\n","status":"success"}`:                                                             "VALIDATION_ERROR events[1].nodeID",
			`{"type":"node_update","nodeID":"n","status":"success","key":"x"}`:                                                     "VALIDATION_ERROR events[1].key",
			`{"type":"node_update","nodeID":"n","status":"success","outputVariable":"__x"}`:                                        "VALIDATION_ERROR events[1].outputVariable",
			`{"type":"node_update","nodeID":"n","status":"success","output":` + big + `}`:                                          "VALIDATION_ERROR events[1].output",
			`{"type":"context_set","value":1}`:                                                                                     "VALIDATION_ERROR events[1].key",
			`{"type":"context_set","key":"k"}`:                                                                                     "VALIDATION_ERROR events[1].value",
			`{"type":"context_set","key":"__k","value":1}`:                                                                         "VALIDATION_ERROR events[1].key",
			`{"type":"status_update","status":"RUNNING"}`:                                                                          "VALIDATION_ERROR events[1].status",
			`{"type":"status_update","status":"COMPLETED","error":"x"}`:                                                            "VALIDATION_ERROR events[1].error",
			`{"type":"data_collection_request","nodeID":"n"}`:                                                                      "VALIDATION_ERROR events[1].collectionConfig",
			`{"type":"data_collection_request","nodeID":"n","collectionConfig":{"collectionType":"guess"}}`:                        "VALIDATION_ERROR events[1].collectionConfig.collectionType",
			`{"type":"data_collection_request","nodeID":"n","collectionConfig":{"formSchema":{"type":"nothing"}}}`:                 "VALIDATION_ERROR events[1].collectionConfig.formSchema",
			`{"type":"data_collection_request","nodeID":"n","collectionConfig":{"expiryMinutes":-1}}`:                              "VALIDATION_ERROR events[1].collectionConfig.expiryMinutes",
			`{"type":"data_collection_request","nodeID":"n","collectionRequestID":"7","collectionConfig":{}}`:                      "VALIDATION_ERROR events[1].collectionRequestID",
			`{"type":"data_collection_request","nodeID":"n","collectionRequestID":"` + used + `","collectionConfig":{"title":""}}`: "CONFLICT events[1].collectionRequestID",
		} {
			if _, err := i.report(run, 1, node(1), event, node(3)); code(err) != want {
				t.Errorf("%s: %s, not %s: %v", event, code(err), want, err)
			}
		}
		for _, tt := range []struct {
			name string
			list []external.Event
			want string
		}{
			{"nothing", nil, "VALIDATION_ERROR events"},
			{"too many", make([]external.Event, 101), "VALIDATION_ERROR events"},
			{"no sequence", make([]external.Event, 1), "VALIDATION_ERROR events[0].sequence"},
			{"a hole", []external.Event{{Sequence: 1, Type: "context_set", Key: "k", Value: json.RawMessage("1")}, {Sequence: 3}}, "VALIDATION_ERROR events[1].sequence"},
			{"after the end", []external.Event{{Sequence: 1, Type: "status_update", Status: "FAILED"}, {Sequence: 2}}, "VALIDATION_ERROR events[1]"},
		} {
			if _, err := i.eng.Report(t.Context(), run, tt.list); code(err) != tt.want {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if receipt := i.mustReport(run, 1, node(1)); receipt.Accepted != 1 || receipt.Offset != 2 {
			t.Errorf("something of what was refused was stored: %+v", receipt)
		}
	})
}

// Reporters that know nothing of each other, people and clients of several
// instances, all at once.
func TestReportersAtOnce(t *testing.T) {
	each(t, 2, func(t *testing.T, w *world) {
		const total, reporters = 120, 4
		run := w.instances[0].announce()
		var clients []*client
		for _, i := range w.instances {
			clients = append(clients, i.listen(run))
		}
		var all sync.WaitGroup
		for r := range reporters {
			i := w.instances[r%len(w.instances)]
			all.Go(func() {
				for from := uint64(1); from <= total; {
					var list []string
					for n := from; n < from+uint64(1+r) && n <= total; n++ {
						if n%10 == 0 {
							list = append(list, form)
						} else {
							list = append(list, node(int(n)))
						}
					}
					receipt, err := i.report(run, from, list...)
					if err != nil {
						t.Errorf("reporter %d: %v", r, err)
						return
					}
					from = receipt.Next
				}
			})
		}
		for n := range 10 {
			i := w.instances[n%len(w.instances)]
			all.Go(func() {
				if err := i.svc.WidgetInput(t.Context(), member, run, map[string]any{"n": n}, false); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.instances[0].mustReport(run, total+1, end)
		log, err := w.instances[0].svc.Entries(t.Context(), run, 0, 0)
		if err != nil || len(log) != 1+total+10+1 {
			t.Fatalf("%d entries, %v", len(log), err)
		}
		var visible []uint64
		next := 1
		for _, e := range log {
			if e.Visible() {
				visible = append(visible, e.Seq)
			}
			if e.Type != interpreter.NodeCompleted && e.Type != interpreter.NodeSuspended {
				continue
			}
			if want := fmt.Sprintf("n%d", next); e.Node != want && next%10 != 0 {
				t.Errorf("entry %d is of %s, not %s", e.Seq, e.Node, want)
			}
			next++
		}
		for _, c := range clients {
			expect(t, c, visible...)
		}
	})
}

// An instance dies after it has stored something and before it has told it. The
// reporter, whose answer did not come, asks another.
func TestWhatWasStoredAndNotToldIsToldWithTheRepeat(t *testing.T) {
	each(t, 2, func(t *testing.T, w *world) {
		dying, other := w.instances[0], w.instances[len(w.instances)-1]
		run := dying.announce()
		c := other.listen(run)
		dying.mustReport(run, 1, node(1))
		dying.mute.Store(true)
		dying.mustReport(run, 2, node(2), node(3))
		dying.mute.Store(false) // with one instance it is the one that comes after it
		other.mustReport(run, 2, node(2), node(3))
		expect(t, c, 2, 3, 4)
		dying.mute.Store(true)
		dying.mustReport(run, 4, end)
		dying.mute.Store(false)
		other.mustReport(run, 4, end)
		expect(t, c, 2, 3, 4, 5)
	})
}

func TestStop(t *testing.T) {
	each(t, 2, func(t *testing.T, w *world) {
		first, other := w.instances[0], w.instances[len(w.instances)-1]
		run := first.announce()
		c := first.listen(run)
		first.mustReport(run, 1, node(1))
		learned := make(chan []interpreter.Entry)
		go func() {
			log, err := first.svc.Entries(t.Context(), run, 2, 10*time.Second)
			if err != nil {
				t.Error(err)
			}
			learned <- log
		}()
		if err := other.svc.Stop(t.Context(), admin, run); err != nil {
			t.Fatal(err)
		}
		if log := <-learned; len(log) != 1 || log[0].Type != interpreter.RunEnded || interpreter.Decode[interpreter.Ending](log[0]).Status != events.RunStopped {
			t.Errorf("the reporter learned %+v", log)
		}
		_, err := first.report(run, 2, node(2))
		if code(err) != "CONFLICT " || !strings.Contains(err.Error(), "is STOPPED and takes no events") {
			t.Error(err)
		}
		if err := other.svc.Cancel(t.Context(), admin, run); code(err) != "CONFLICT " {
			t.Errorf("cancelling what was stopped: %v", err)
		}
		expect(t, c, 2, 3)
		if now, err := other.svc.Run(t.Context(), member, auth.ReadRuns, run.ID); err != nil || now.Status != events.RunStopped {
			t.Errorf("%+v, %v", now, err)
		}
		log, err := first.svc.Entries(t.Context(), func() workflow.Run { r := run; r.Status = events.RunStopped; return r }(), 3, time.Hour)
		if err != nil || len(log) != 0 {
			t.Errorf("of a run that is over there is more: %v, %v", log, err)
		}
	})
}

func TestWhoMayReport(t *testing.T) {
	each(t, 1, func(t *testing.T, w *world) {
		i := w.instances[0]
		an := workflow.Announcement{ID: uuid.NewString(), Title: "T", Input: map[string]any{"n": 1}}
		for _, tt := range []struct {
			id   *auth.Identity
			want string
		}{{publisher, "<nil>"}, {admin, "<nil>"}, {member, "PERMISSION_DENIED "}, {foreign, "NOT_FOUND "}} {
			if _, err := i.svc.Announce(t.Context(), tt.id, "acme", an); code(err) != tt.want { // from the second on a repeat
				t.Errorf("%s announces: %v", tt.id.User, err)
			}
			if _, err := i.svc.Reported(t.Context(), tt.id, "acme", an.ID); code(err) != tt.want {
				t.Errorf("%s reports: %v", tt.id.User, err)
			}
		}
		if _, err := i.svc.Reported(t.Context(), foreign, "other", an.ID); code(err) != "NOT_FOUND " {
			t.Error(err)
		}
		for _, other := range []workflow.Announcement{
			{ID: an.ID, Title: "U", Input: an.Input}, {ID: an.ID, Title: "T"}, {ID: an.ID, Title: "T", Input: an.Input, WorkflowID: an.ID},
		} {
			if _, err := i.svc.Announce(t.Context(), publisher, "acme", other); code(err) != "CONFLICT instanceID" {
				t.Errorf("%+v: %v", other, err)
			}
		}
		for field, wrong := range map[string]workflow.Announcement{
			"title": {}, "instanceID": {ID: "7", Title: "T"}, "workflowID": {WorkflowID: "w", Title: "T"},
		} {
			if _, err := i.svc.Announce(t.Context(), publisher, "acme", wrong); code(err) != "VALIDATION_ERROR "+field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// More runs than an engine remembers.
func TestManyRuns(t *testing.T) {
	each(t, 1, func(t *testing.T, w *world) {
		i := w.instances[0]
		var runs []workflow.Run
		for range 6 {
			runs = append(runs, i.announce())
		}
		for n := uint64(1); n <= 3; n++ {
			for _, run := range runs {
				if receipt := i.mustReport(run, n, node(int(n))); receipt != (external.Receipt{Accepted: 1, Offset: n + 1, Next: n + 1}) {
					t.Errorf("%+v", receipt)
				}
			}
		}
	})
}
