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

// roomOwners are the rows that rooms are of, or what their names say.
type roomOwners struct{ db *store.DB }

var _ publish.Rooms = roomOwners{}

// Owner implements [publish.Rooms].
func (r roomOwners) Owner(ctx context.Context, room events.Room) (auth.RoomKind, string, error) {
	if a, ok := events.ParseAddress(room); ok {
		return auth.RoomKind(a.Kind), a.Tenant, nil
	}
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

func (r runs) Executable(ctx context.Context, id *auth.Identity, workflowID string) (bridge.Workflow, error) {
	w, err := r.workflows.Get(ctx, id, auth.Execute, workflowID)
	return bridge.Workflow{Tenant: w.Tenant, Handle: w}, err
}

func (r runs) Draft(ctx context.Context, id *auth.Identity, w bridge.Workflow, input map[string]any) (bridge.Draft, error) {
	d, err := r.workflows.Draft(ctx, id, w.Handle.(workflow.Workflow), input)
	if err != nil {
		return bridge.Draft{}, err
	}
	return bridge.Draft{Run: widgetRun(d.Run), Through: d.Through(), Context: bridge.Context(d.Variables), Handle: d}, nil
}

func (r runs) Launch(ctx context.Context, d bridge.Draft) error {
	_, err := r.workflows.Launch(ctx, d.Handle.(workflow.Draft))
	return err
}

// widgetRun is a run as widgets need it.
func widgetRun(run workflow.Run) bridge.Run {
	return bridge.Run{ID: run.ID, WorkflowID: run.WorkflowID, Tenant: run.Tenant, Handle: run}
}

func (r runs) Find(ctx context.Context, id *auth.Identity, runID string, answer bool) (bridge.Run, error) {
	action := auth.ReadRuns
	if answer {
		action = auth.AnswerRuns
	}
	run, err := r.workflows.Run(ctx, id, action, runID)
	return widgetRun(run), err
}

func (r runs) Newest(ctx context.Context, id *auth.Identity, workflowID string) (bridge.Run, error) {
	run, err := r.workflows.Newest(ctx, id, workflowID)
	return widgetRun(run), err
}

func (r runs) Inputs(ctx context.Context, run bridge.Run) (map[string]any, error) {
	state, err := r.workflows.State(ctx, run.Handle.(workflow.Run))
	inputs, _ := state.Context["input"].(map[string]any)
	return inputs, err
}

func (r runs) History(ctx context.Context, run bridge.Run, after uint64) (bridge.History, error) {
	all, err := r.workflows.History(ctx, run.Handle.(workflow.Run), after)
	if err != nil {
		return bridge.History{}, err
	}
	h := bridge.History{Through: all.Through, Status: all.Run.Status, Context: bridge.Context(all.Variables)}
	for _, u := range all.Updates {
		h.Updates = append(h.Updates, widgetUpdate(u))
	}
	return h, nil
}

func (r runs) Input(ctx context.Context, id *auth.Identity, run bridge.Run, value map[string]any, form bool) error {
	return r.workflows.WidgetInput(ctx, id, run.Handle.(workflow.Run), value, form)
}

// widgetUpdate is an update as widgets need it.
func widgetUpdate(u workflow.Update) bridge.Update {
	b := bridge.Update{
		RunID: u.Run.ID, Offset: u.Offset, Prev: u.Prev, Status: u.Status, At: u.Entry.At,
		Payload: events.Numbered{Payload: u.Payload, Offset: u.Offset}, Size: u.Size(), Context: bridge.Context(u.Variables),
	}
	if n := u.Node; n != nil {
		b.Node = &bridge.Node{ID: n.ID, Type: n.Type, Status: n.Status, Variable: n.Variable, Value: n.Value}
	}
	return b
}
