package root

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/namespaces"
)

// roomRoutes lets clients into the rooms that back ends publish to. What a
// client names is looked up; it never becomes a room as it is.
type roomRoutes struct {
	workflows *workflow.Service
	listeners *listener.Service
	history   *history.Service
	followed  *followed
}

func (r roomRoutes) routes() []namespaces.Route {
	return []namespaces.Route{
		namespaces.Handle("join_room", r.join),
		namespaces.Handle("leave_room", r.leave),
		namespaces.Handle("join_tenant", r.joinTenant),
	}
}

type roomNamed struct {
	Room events.Room `json:"room"`
}

// roomJoin is a room to join: its name, or its name and what the client has
// got of it.
type roomJoin struct {
	Room  string        `json:"room"`
	Since *events.Since `json:"since,omitempty"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (j *roomJoin) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, &j.Room)
	}
	type plain roomJoin
	return json.Unmarshal(b, (*plain)(j))
}

type roomJoined struct {
	Room events.Room `json:"room"`
	resumption
}

func (r roomRoutes) join(ctx context.Context, s namespaces.Session, in roomJoin) (roomJoined, error) {
	room, err := r.find(ctx, s.Identity(), in.Room)
	if err != nil {
		return roomJoined{}, err
	}
	if r.followed.full(s, room) {
		return roomJoined{}, events.Errorf(events.CodeConflict, "you are in %d rooms already: leave one first", maxRooms)
	}
	ctx, out := context.WithoutCancel(ctx), newSending(ctx, s) // a client may take its time
	after, err := r.resume(ctx, out, room, in.Since)
	if err != nil {
		return roomJoined{}, err
	}
	through, err := r.followed.follow(s, room, after, func(after, until uint64) (uint64, error) {
		return r.read(ctx, out, room, after, until)
	})
	return roomJoined{room, resume(r.history.Epoch(), in.Since, out.gap, through)}, err
}

// maxRooms bounds the rooms of a session: some take no row, so that a client
// could name any number.
const maxRooms = 1000

// resume returns the offset after which a client gets what a room published:
// without since it gets what is published from now on.
func (r roomRoutes) resume(ctx context.Context, out *sending, room events.Room, since *events.Since) (uint64, error) {
	head, err := r.history.Head(ctx, room)
	if err != nil || since == nil {
		return head.Offset, err
	}
	after, gap := since.Resume(room, r.history.Epoch(), head.Trimmed, head.Offset)
	return after, out.miss(gap)
}

// readPage is how many publications are read at once.
const readPage = 64

// read emits what a room published after an offset, up to another, and returns
// how far it got.
func (r roomRoutes) read(ctx context.Context, out *sending, room events.Room, after, until uint64) (uint64, error) {
	for after < until {
		entries, gap, head, err := r.history.Since(ctx, room, "", after, readPage)
		if err != nil {
			return 0, err
		}
		if gap != nil { // it was trimmed meanwhile
			gap.To = min(gap.To, until)
			after = gap.To
			if err := out.miss(gap); err != nil {
				return 0, err
			}
		}
		for _, e := range entries {
			if e.Offset > until {
				return until, nil
			}
			if err := out.Emit(events.Numbered{Payload: stored{e.Event, e.Data}, Offset: e.Offset}, len(e.Data)); err != nil {
				return 0, err
			}
			after = e.Offset
		}
		if after >= head.Offset {
			break
		}
	}
	return after, nil
}

// leave takes any name that join takes; leaving a room one is not in does no
// harm.
func (r roomRoutes) leave(_ context.Context, s namespaces.Session, name string) (roomNamed, error) {
	for _, prefix := range []string{"tenant:", "workflow:", "user:", "entity:", "agent:", "listener:", "listener_test:"} {
		if strings.HasPrefix(name, prefix) {
			s.Leave(events.Room(name))
			r.followed.drop(s, events.Room(name))
			return roomNamed{events.Room(name)}, nil
		}
	}
	return roomNamed{}, events.NotFound("room", name)
}

func (r roomRoutes) joinTenant(ctx context.Context, s namespaces.Session, tenant string) (roomJoined, error) {
	return r.join(ctx, s, roomJoin{Room: string(events.TenantRoom(tenant))})
}

// find returns the room of an existing row that the user may see. Unknown and
// foreign rows get the same refusal.
func (r roomRoutes) find(ctx context.Context, id *auth.Identity, name string) (events.Room, error) {
	refused := events.NotFound("room", name)
	if tenant, ok := strings.CutPrefix(name, "tenant:"); ok {
		if !id.MayBeIn("tenant", tenant, "") {
			return "", refused
		}
		return events.TenantRoom(tenant), nil
	}
	if a, ok := events.ParseAddress(events.Room(name)); ok {
		if !id.MayBeIn(auth.RoomKind(a.Kind), a.Tenant, a.ID) { // of these, only a user's has an owner
			return "", refused
		}
		return events.Room(name), nil
	}
	if strings.HasPrefix(name, "workflow:") {
		return r.findWorkflow(ctx, id, name)
	}
	kind, test := listener.Source, false
	listenerID, ok := strings.CutPrefix(name, "listener:app_page:")
	if ok {
		kind = listener.AppPage
	} else if listenerID, ok = strings.CutPrefix(name, "listener_test:"); ok {
		test = true
	} else if listenerID, ok = strings.CutPrefix(name, "listener:"); !ok {
		return "", refused
	}
	l, err := r.listeners.Get(ctx, id, auth.ReadListeners, listenerID)
	if err != nil {
		return "", refusal(err, refused)
	}
	policy, room := auth.RoomKind("listener"), l.Room()
	switch {
	case test:
		policy, room = "listener_test", events.ListenerTestRoom(l.ID)
	case kind == listener.AppPage:
		policy = "listener:app_page"
	}
	if l.Kind != kind || !id.MayBeIn(policy, l.Tenant, "") {
		return "", refused
	}
	return room, nil
}

// findWorkflow is find for the room of a workflow.
func (r roomRoutes) findWorkflow(ctx context.Context, id *auth.Identity, name string) (events.Room, error) {
	refused := events.NotFound("room", name)
	w, err := r.workflows.Get(ctx, id, auth.ReadRuns, name[strings.LastIndexByte(name, ':')+1:])
	if err != nil {
		return "", refusal(err, refused)
	}
	if room := events.WorkflowRoom(w.Tenant, w.ID); string(room) == name && id.MayBeIn("workflow", w.Tenant, "") {
		return room, nil
	}
	return "", refused
}

// refusal is what is said of a row that cannot be had.
func refusal(err error, refused *events.Error) error {
	if e, meant := events.Public(err); meant && e.Code == events.CodeNotFound {
		return refused
	}
	return err
}
