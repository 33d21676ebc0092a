package rawws

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/pace"
)

// Workflows are what clients execute, and subscribe to.
type Workflows interface {
	// Find returns the workflow that a user may do something with, by an id that
	// it has in a tenant, or by its ID if that is "".
	Find(ctx context.Context, id *auth.Identity, action auth.Action, tenant, workflowID string) (Workflow, error)
	// Draft makes a run, which nobody knows of before it is launched.
	Draft(ctx context.Context, id *auth.Identity, w Workflow, input map[string]any) (RunDraft, error)
	// UnderWay returns the ids of the newest runs that go on, oldest first.
	UnderWay(ctx context.Context, id *auth.Identity, w Workflow) ([]string, error)
}

// Runs are what has happened in runs.
type Runs interface {
	// Read returns what a run that the user may read has told its room after an
	// offset.
	Read(ctx context.Context, id *auth.Identity, runID string, after uint64) (RunRead, error)
}

// A Workflow is a definition. Handle is for who has found it.
type Workflow struct {
	ID, Tenant string
	Handle     any
}

// A RunDraft is a run that has not begun.
type RunDraft struct {
	RunID     string
	StartedAt time.Time
	Through   uint64 // its offset when it has been stored, and has done nothing yet
	Launch    func(ctx context.Context) error
}

// A RunRead is what has happened in a run, up to an offset.
type RunRead struct {
	StartedAt time.Time
	Updates   []RunUpdate
	Through   uint64
}

// A RunUpdate is what the room of a run was told, when, and about how many bytes
// that takes.
type RunUpdate struct {
	events.Payload
	At   time.Time
	Size int
}

// genesisRun is a run that the client gets.
type genesisRun struct {
	id          string
	workflow    string // its ID
	name        string // what the client calls the workflow
	requested   bool   // by this client
	correlation string
	// The rest is set before anything live comes.
	startedAt time.Time
	told      bool // that it has begun
}

// execution is what a client wants to be executed.
type execution struct {
	workflow string
	input    map[string]any
}

func executionOf(f frame) (e execution, err *events.Error) {
	if f.payload == nil {
		return e, events.FieldErrorf("payload", "is missing, or not an object")
	}
	if e.workflow, _ = textOf(f.payload["workflowId"]); !isName(e.workflow) {
		return e, events.FieldErrorf("payload.workflowId", "is not a text of 1 to 128 printable characters")
	}
	if input := f.payload["input"]; input != nil && json.Unmarshal(input, &e.input) != nil {
		return e, events.FieldErrorf("payload.input", "is not an object")
	}
	return e, nil
}

// execute starts a run. The client is in its room before it begins: however
// short it is, all of it comes.
func (g *genesis) execute(ctx context.Context, f frame, correlation string) *events.Error {
	e, err := executionOf(f)
	if err != nil {
		return err
	}
	w, err := g.find(ctx, auth.Execute, e.workflow)
	if err != nil {
		return err
	}
	draft, failed := g.workflows.Draft(ctx, g.conn.Session().Identity(), w, e.input)
	if failed != nil {
		return ofInput(public(failed))
	}
	run := &genesisRun{id: draft.RunID, workflow: w.ID, name: e.workflow, requested: true, correlation: correlation, startedAt: draft.StartedAt}
	g.mu.Lock()
	g.followed[run.room()] = run
	g.mu.Unlock()
	err = g.follow(run, func(after uint64) (uint64, error) {
		if run.told {
			return g.read(ctx, run, after)
		}
		if err := draft.Launch(ctx); err != nil { // what it says meanwhile waits
			return 0, err
		}
		g.begin(run)
		return draft.Through, nil
	})
	if err != nil && run.told { // it was done: who is told that it was not does it again
		g.cannotShow(run, err)
		return nil
	}
	return err
}

// cannotShow tells that a run goes on, and its frames will not come.
func (g *genesis) cannotShow(run *genesisRun, e *events.Error) {
	g.fail(run.correlation, genesisError{Code: "EVENTS_LOST", Message: "run " + run.id + " cannot be shown: " + e.Message})
}

// ofInput calls the inputs of a workflow as they are called here.
func ofInput(e *events.Error) *events.Error {
	if name, ok := strings.CutPrefix(e.Field, "inputValues."); ok {
		of := *e
		of.Field = "payload.input." + name
		of.Message = of.Field + strings.TrimPrefix(e.Message, e.Field)
		return &of
	}
	return e
}

func (r *genesisRun) room() events.Room { return events.RunRoom(r.id) }

// follow gives the client all of a run that is in the list, as snapshot brings
// it up to what is live.
func (g *genesis) follow(run *genesisRun, snapshot func(after uint64) (uint64, error)) *events.Error {
	err := g.conn.Session().Follow(run.room(), 0, snapshot)
	if err == nil {
		return nil
	}
	g.mu.Lock()
	delete(g.followed, run.room())
	g.mu.Unlock()
	if _, meant := events.Public(err); !meant {
		g.conn.log().Error("run cannot be followed", "run", run.id, "error", err)
	}
	return public(err)
}

// begin tells that a run has begun.
func (g *genesis) begin(run *genesisRun) {
	run.told = true
	g.say("workflow_started", run.started(), run.correlation)
}

// An announcement is that of a run of a workflow that the client watches.
type announcement struct{ workflow, run string }

// maxAnnounced bounds the runs that have begun and are not followed yet.
const maxAnnounced = 1024

// announced has the client follow a run that it has not got yet, of a workflow
// that it watches. It may be told of a run more than once.
func (g *genesis) announced(workflow, runID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.coming) < maxAnnounced {
		g.losing = false
		g.comesLocked(workflow, runID)
		return
	}
	if _, wanted := g.wantedLocked(workflow, runID); wanted && !g.losing {
		g.losing = true
		g.lost("runs begin faster than you take them: some are left out")
	}
}

// comesLocked is announced without a bound: it is for those that are under way
// when the client subscribes, which are as many as it has asked for.
func (g *genesis) comesLocked(workflow, runID string) {
	if _, wanted := g.wantedLocked(workflow, runID); !wanted {
		return
	}
	g.coming = append(g.coming, announcement{workflow, runID})
	if !g.taking {
		g.taking = true
		g.conn.push(job{do: g.takeNext})
	}
}

// takeNext follows the next run that was announced. The others wait behind what
// the client has said meanwhile.
func (g *genesis) takeNext() {
	g.mu.Lock()
	next := g.coming[0]
	g.coming = g.coming[1:]
	g.mu.Unlock()
	defer func() { // also when taking it panics
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.taking = len(g.coming) > 0; g.taking {
			g.conn.push(job{do: g.takeNext})
			return
		}
		g.coming = nil
	}()
	g.take(g.conn.ctx, next.workflow, next.run)
}

// wantedLocked reports whether the client is to get a run, and what it calls the
// workflow.
func (g *genesis) wantedLocked(workflow, runID string) (name string, wanted bool) {
	names := g.watched[workflow]
	if len(names) == 0 || g.followed[events.RunRoom(runID)] != nil || g.finished.has(runID) {
		return "", false
	}
	return names[0], true
}

// take follows a run that was announced.
func (g *genesis) take(ctx context.Context, workflow, runID string) {
	g.mu.Lock()
	name, wanted := g.wantedLocked(workflow, runID)
	run := &genesisRun{id: runID, workflow: workflow, name: name}
	if wanted {
		g.followed[run.room()] = run
	}
	g.mu.Unlock()
	if !wanted || g.conn.over() {
		return
	}
	if err := g.follow(run, func(after uint64) (uint64, error) { return g.read(ctx, run, after) }); err != nil && ctx.Err() == nil {
		g.cannotShow(run, err)
	}
}

// read tells what has happened in a run after an offset, no faster than the
// client takes it.
func (g *genesis) read(ctx context.Context, run *genesisRun, after uint64) (uint64, error) {
	all, err := g.runs.Read(ctx, g.conn.Session().Identity(), run.id, after)
	if err != nil {
		return 0, err
	}
	if !run.told {
		run.startedAt = all.StartedAt
		g.begin(run)
	}
	out := pace.To(ctx, genesisReader{g, run})
	for _, u := range all.Updates {
		if err := out.Emit(u, u.Size); err != nil {
			return 0, err
		}
	}
	return all.Through, nil
}

// genesisReader is a client that is told what has happened in a run.
type genesisReader struct {
	g   *genesis
	run *genesisRun
}

var _ pace.Client = genesisReader{}

// Emit implements [pace.Client].
func (r genesisReader) Emit(p events.Payload) error {
	u := p.(RunUpdate)
	if f, ok := r.run.frame(u.Payload, u.At); ok {
		r.g.conn.SendJSON(f)
	}
	r.g.after(r.run, u.EventName())
	return nil
}

// Drain implements [pace.Client].
func (r genesisReader) Drain(ctx context.Context) error { return r.g.conn.Session().Drain(ctx) }

// hearRun tells what happens in a run. Who has asked for the run gets frames of
// its own; all others who call the workflow alike share theirs.
func (g *genesis) hearRun(n Notice) {
	g.mu.Lock()
	run := g.followed[n.Room]
	g.mu.Unlock()
	if run == nil {
		return
	}
	render := func() []byte {
		var text []byte
		if f, ok := run.frame(runPayload(n), time.Now()); ok {
			text, _ = encode(f)
		}
		return text
	}
	if run.correlation == "" {
		g.conn.SendFrame(n.Frame(genesisKey{run.name}, render))
	} else if text := render(); text != nil {
		g.conn.Send(text)
	}
	g.after(run, n.Event)
}

// genesisKey tells frames of a run apart that are not the same for all.
type genesisKey struct{ workflow string }

func runPayload(n Notice) events.Payload {
	if n.Event == "workflow_status_update" {
		return decode[events.WorkflowStatusUpdate](n)
	}
	return decode[events.WorkflowNodeUpdate](n)
}

// latest are the ids that were added last: at least maxLatest of them, and less
// than twice as many.
type latest struct{ newer, older map[string]bool }

const maxLatest = 512

func (l *latest) add(id string) {
	if len(l.newer) >= maxLatest {
		l.newer, l.older = nil, l.newer
	}
	if l.newer == nil {
		l.newer = make(map[string]bool)
	}
	l.newer[id] = true
}

func (l *latest) has(id string) bool { return l.newer[id] || l.older[id] }

// after leaves a run that has ended, when what is being said has been.
func (g *genesis) after(run *genesisRun, event string) {
	if event != "workflow_status_update" {
		return
	}
	g.conn.push(job{do: func() {
		g.conn.Session().Leave(run.room())
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.followed, run.room())
		g.finished.add(run.id)
	}})
}

// genesisExecution is what every frame of a run has.
type genesisExecution struct {
	WorkflowID  string `json:"workflowId"`
	ExecutionID string `json:"executionId"`
}

func (r *genesisRun) of() genesisExecution { return genesisExecution{r.name, r.id} }

type genesisStarted struct {
	genesisExecution
	StartedAt int64 `json:"startedAt"`
}

func (r *genesisRun) started() genesisStarted {
	return genesisStarted{r.of(), r.startedAt.UnixMilli()}
}

type genesisNode struct {
	genesisExecution
	NodeID   string          `json:"nodeId"`
	Output   json.RawMessage `json:"output"`
	Duration int64           `json:"duration"`
}

type genesisCompleted struct {
	genesisExecution
	Result   json.RawMessage `json:"result"`
	Duration int64           `json:"duration"`
}

type genesisFailed struct {
	genesisExecution
	Error genesisError `json:"error"`
}

// frame is what the dialect says of what happened in a run, if it has words for
// it: it has none for nodes that failed, and for questions to people.
func (r *genesisRun) frame(p events.Payload, at time.Time) (f genesisFrame, ok bool) {
	switch p := p.(type) {
	case events.WorkflowNodeUpdate:
		if p.Status != events.NodeSuccess {
			return f, false
		}
		return newGenesisFrame("node_completed", genesisNode{r.of(), p.NodeID, orNull(p.Output), p.Duration}, r.correlation), true
	case events.WorkflowStatusUpdate:
		if p.Status == events.RunCompleted {
			took := max(0, at.Sub(r.startedAt).Milliseconds())
			return newGenesisFrame("workflow_completed", genesisCompleted{r.of(), orNull(p.Output), took}, r.correlation), true
		}
		e := genesisError{Code: "EXECUTION_" + string(p.Status), Message: p.Error}
		if e.Message == "" {
			e.Message = "the run was " + strings.ToLower(string(p.Status))
		}
		return newGenesisFrame("workflow_failed", genesisFailed{r.of(), e}, r.correlation), true
	}
	return f, false
}

func orNull(v json.RawMessage) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("null")
	}
	return v
}
