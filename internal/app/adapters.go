package app

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/assistant/builtin"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/publish"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
)

// Services do not know each other. This file is where what one needs meets
// what another has.

// publisher is the way from services to rooms. Its fields are set before
// anything runs.
type publisher struct {
	server *socketio.Server
	epoch  string
}

var (
	_ workflow.Publisher = (*publisher)(nil)
	_ chat.Publisher     = (*publisher)(nil)
	_ history.Publisher  = (*publisher)(nil)
)

// Publish sends a payload, with its offset if it has a position.
func (p *publisher) Publish(room events.Room, pos cluster.Position, payload events.Payload) error {
	if pos.Offset > 0 {
		pos.Epoch = p.epoch
		payload = events.Numbered{Payload: payload, Offset: pos.Offset}
	}
	return p.server.Publish("/", room, pos, payload)
}

// PublishRaw implements [history.Publisher].
func (p *publisher) PublishRaw(room events.Room, pos cluster.Position, event string, data json.RawMessage) {
	p.server.PublishRaw("/", room, pos, event, data)
}

// PublishLive implements [publish.Live].
func (p *publisher) PublishLive(room events.Room, event string, data json.RawMessage) {
	p.server.PublishRaw("/", room, cluster.Position{}, event, data)
}

// roomOwners are the rows that rooms are of.
type roomOwners struct{ db *store.DB }

var _ publish.Rooms = roomOwners{}

// Owner implements [publish.Rooms].
func (r roomOwners) Owner(ctx context.Context, room events.Room) (auth.RoomKind, string, error) {
	kind, id, found := splitRoom(room)
	if !found {
		return r.bareOwner(ctx, id)
	}
	var tenant string
	var err error
	switch kind {
	case "tenant":
		tenant = id
	case "widget":
		tenant, err = r.db.Widgets().Widget(ctx, id)
	case "listener", "listener_test", "listener:app_page":
		var l listener.Listener
		l, err = r.db.Listeners().Listener(ctx, id)
		tenant = l.Tenant
		if page := kind == "listener:app_page"; err == nil && page != (l.Kind == listener.AppPage) {
			err = publish.ErrNotFound
		}
	default:
		err = publish.ErrNotFound
	}
	if errors.Is(err, bridge.ErrNotFound) || errors.Is(err, listener.ErrNotFound) {
		err = publish.ErrNotFound
	}
	return kind, tenant, err
}

// splitRoom returns what the room of a row is called, and the id of the row.
func splitRoom(room events.Room) (kind auth.RoomKind, id string, found bool) {
	at := strings.LastIndexByte(string(room), ':')
	if strings.HasPrefix(string(room), "tenant:") { // ids of tenants are anything
		at = len("tenant")
	}
	if at < 0 {
		return "", string(room), false
	}
	return auth.RoomKind(room[:at]), string(room[at+1:]), true
}

// bareOwner is that of a room which is named by the id of its row alone.
func (r roomOwners) bareOwner(ctx context.Context, id string) (auth.RoomKind, string, error) {
	run, err := r.db.Workflows().Run(ctx, id)
	if !errors.Is(err, workflow.ErrNotFound) {
		return "run", run.Tenant, err
	}
	room, err := r.db.Chats().Room(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		err = publish.ErrNotFound
	}
	return "chat", room.Tenant, err
}

// runs are workflows as widgets need them.
type runs struct{ workflows *workflow.Service }

var _ bridge.Runs = runs{}

func (r runs) Executable(ctx context.Context, id *auth.Identity, workflowID string) (string, error) {
	w, err := r.workflows.Get(ctx, id, auth.Execute, workflowID)
	return w.Tenant, err
}

func (r runs) Prepare(ctx context.Context, id *auth.Identity, workflowID string, input map[string]any) (bridge.Run, error) {
	run, err := r.workflows.Prepare(ctx, id, workflowID, input)
	if err != nil {
		return bridge.Run{}, err
	}
	return r.convert(ctx, run)
}

// convert reads the input of a run from its first entry.
func (r runs) convert(ctx context.Context, run workflow.Run) (bridge.Run, error) {
	state, err := r.workflows.State(ctx, run)
	input, _ := state.Context["input"].(map[string]any)
	out := bridge.Run{ID: run.ID, WorkflowID: run.WorkflowID, Tenant: run.Tenant, Input: input, Handle: run}
	if n := len(state.Log); n > 0 {
		out.Through = state.Log[n-1].Seq
	}
	return out, err
}

func (r runs) Start(ctx context.Context, run bridge.Run) error {
	return r.workflows.Start(ctx, run.Handle.(workflow.Run))
}

func (r runs) Find(ctx context.Context, id *auth.Identity, runID string, answer bool) (bridge.Run, error) {
	action := auth.ReadRuns
	if answer {
		action = auth.AnswerRuns
	}
	run, err := r.workflows.Run(ctx, id, action, runID)
	if err != nil {
		return bridge.Run{}, err
	}
	return r.convert(ctx, run)
}

func (r runs) Newest(ctx context.Context, id *auth.Identity, workflowID string) (bridge.Run, error) {
	run, err := r.workflows.Newest(ctx, id, workflowID)
	if err != nil {
		return bridge.Run{}, err
	}
	return r.convert(ctx, run)
}

func (r runs) History(ctx context.Context, run bridge.Run, after uint64) (bridge.History, error) {
	all, err := r.workflows.History(ctx, run.Handle.(workflow.Run), after)
	if err != nil {
		return bridge.History{}, err
	}
	h := bridge.History{Through: all.Through, Status: all.Run.Status}
	for _, u := range all.Updates {
		h.Updates = append(h.Updates, widgetUpdate(u))
	}
	h.Context, err = json.Marshal(all.Context)
	return h, err
}

func (r runs) Input(ctx context.Context, id *auth.Identity, run bridge.Run, value map[string]any, form bool) error {
	return r.workflows.WidgetInput(ctx, id, run.Handle.(workflow.Run), value, form)
}

// widgetUpdate is an update as widgets need it.
func widgetUpdate(u workflow.Update) bridge.Update {
	b := bridge.Update{
		RunID: u.Run.ID, Offset: u.Offset, Prev: u.Prev, Status: u.Status, At: u.Entry.At,
		Payload: events.Numbered{Payload: u.Payload, Offset: u.Offset}, Size: u.Size(),
	}
	if u.Context != nil {
		b.Context = u.Context.JSON()
	}
	if n := u.Node; n != nil {
		b.Node = &bridge.Node{ID: n.ID, Type: n.Type, Status: n.Status, Variable: n.Variable, Value: n.Value}
	}
	return b
}

// tools are workflows as the assistant needs them.
type tools struct{ workflows *workflow.Service }

var _ builtin.Workflows = tools{}

func (t tools) List(ctx context.Context, id *auth.Identity, tenant string) ([]builtin.Workflow, error) {
	list, err := t.workflows.List(ctx, id, tenant)
	var out []builtin.Workflow
	for _, w := range list {
		tool := builtin.Workflow{ID: w.ID, Title: w.Title}
		for _, arg := range w.Plan.Definition.Inputs() {
			tool.Inputs = append(tool.Inputs, arg.Key)
		}
		out = append(out, tool)
	}
	return out, err
}

func (t tools) Check(ctx context.Context, id *auth.Identity, workflowID string, input map[string]any) error {
	return t.workflows.CheckInput(ctx, id, workflowID, input)
}

func (t tools) Run(ctx context.Context, id *auth.Identity, workflowID string, input map[string]any) (builtin.Outcome, error) {
	run, err := t.workflows.Execute(ctx, id, workflowID, input)
	if err != nil {
		return builtin.Outcome{}, err
	}
	t.workflows.Settle(ctx, run.ID)
	ctx = context.WithoutCancel(ctx)
	history, err := t.workflows.History(ctx, run, 0)
	if err != nil {
		return builtin.Outcome{}, err
	}
	out := builtin.Outcome{RunID: run.ID, Status: string(events.RunRunning)}
	for _, p := range history.Pending {
		title := p.CollectionConfig.Title
		if title == "" {
			title = p.NodeID
		}
		out.Waiting = append(out.Waiting, title)
	}
	for _, u := range history.Updates {
		if p, ok := u.Payload.(events.WorkflowStatusUpdate); ok {
			out.Status, out.Output, out.Error = string(p.Status), p.Output, p.Error
		}
	}
	return out, nil
}
