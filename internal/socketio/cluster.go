package socketio

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/every"
	"github.com/roomcast/roomcast/internal/rooms"
)

// History has what was published to numbered rooms. Its methods may be called
// concurrently and may take their time.
type History interface {
	// Missed returns what was published to a room after an offset, up to
	// another, in order, or the first of it: more is asked for, until there is
	// none. In the place of what cannot be had stands a publication without an
	// offset that says so.
	Missed(ctx context.Context, namespace string, room events.Room, after, until uint64) []Publication
	// Heads returns the offsets of the latest publications to rooms.
	Heads(ctx context.Context, namespace string, rooms []events.Room) (map[events.Room]uint64, error)
}

// A Publication is what was published to a room.
type Publication struct {
	Event   string
	Payload json.RawMessage
	At      cluster.Position
}

// Reached tells all servers how far the numbers of a room have got: those that
// have missed something fetch it without waiting for the next.
func (s *Server) Reached(namespace string, room events.Room, offset uint64) {
	head := roomHead{namespace, room, offset}
	s.reached(head)
	if s.opts.Bus == nil {
		return
	}
	if data, err := json.Marshal(head); err == nil {
		s.opts.Bus.Send(cluster.Note{Topic: noteReached, Data: data})
	}
}

// The notes about rooms.
const (
	noteReached = "room.reached"
	noteCatchUp = "room.catchup"
)

// CatchUp makes all servers fetch what their rooms have missed, because
// somebody who stored publications may not have had the time to publish them.
func (s *Server) CatchUp() {
	s.catchUp()
	if s.opts.Bus != nil {
		s.opts.Bus.Send(cluster.Note{Topic: noteCatchUp})
	}
}

func (s *Server) catchUp() {
	for _, sp := range s.spaces {
		if s.opts.History != nil && !sp.Local {
			go sp.resync()
		}
	}
}

type roomHead struct {
	Namespace string      `json:"namespace"`
	Room      events.Room `json:"room"`
	Offset    uint64      `json:"offset"`
}

func (s *Server) reached(h roomHead) {
	if sp := s.spaces[h.Namespace]; sp != nil {
		sp.rooms.Refetch(string(h.Room), h.Offset)
	}
}

// self is what the cluster calls this server.
func (s *Server) self() string {
	if s.opts.Bus == nil {
		return ""
	}
	return s.opts.Bus.Self()
}

// recovers reports whether clients of a namespace may come back to their
// sessions. Those of version 2 cannot.
func (s *Server) recovers(namespace string, protocol int) bool {
	sp := s.spaces[namespace]
	return s.opts.Recovery.Window > 0 && protocol == 4 && sp != nil && sp.Restore != nil
}

// internal reports whether a namespace is the server's own.
func (s *Server) internal(namespace string) bool {
	sp := s.spaces[namespace]
	return sp != nil && sp.Internal != nil
}

// shared reports whether a namespace is one of the cluster.
func (sp *space) shared() bool { return sp.srv.opts.Bus != nil && !sp.Local }

// joinCluster begins to hear what other servers say, when the bus runs.
func (s *Server) joinCluster() {
	if s.opts.Bus == nil {
		return
	}
	var names []string
	for name, sp := range s.spaces {
		if sp.shared() {
			names = append(names, name)
		}
	}
	s.opts.Bus.Open(names, receiver{s})
	s.opts.Bus.Listen(noteCatchUp, func(cluster.Note) { s.catchUp() })
	s.opts.Bus.Listen(noteReached, func(n cluster.Note) {
		var h roomHead
		if json.Unmarshal(n.Data, &h) == nil {
			s.reached(h)
		}
	})
	s.recovery.listen()
}

// receiver is the server as the bus sees it.
type receiver struct{ srv *Server }

var (
	_ cluster.Receiver = receiver{}
	_ cluster.Enterer  = receiver{}
)

// Receive implements [cluster.Receiver].
func (r receiver) Receive(m *cluster.Message) {
	sp := r.srv.spaces[m.Namespace]
	if sp == nil {
		return
	}
	bus := r.srv.opts.Bus
	switch m.Kind {
	case cluster.Broadcast:
		if m.RequestID == "" {
			sp.broadcast(m)
			r.arrived(m)
			return
		}
		n, forget := sp.broadcastWithAck(m, func(ack Ack) {
			bus.Respond(m, &cluster.Response{RequestID: m.RequestID, Acked: true, Ack: ack.Value, Parts: ack.Attachments})
		})
		time.AfterFunc(max(m.Timeout, answerTime), forget)
		bus.Respond(m, &cluster.Response{RequestID: m.RequestID, Clients: n})
	case cluster.Join, cluster.Leave, cluster.Disconnect:
		sp.perform(m)
	case cluster.FetchSockets:
		bus.Respond(m, &cluster.Response{RequestID: m.RequestID, Sockets: sp.describe(m.Target)})
	case cluster.ListSockets:
		ids := []string{}
		for s := range sp.selected(m.Target) {
			ids = append(ids, s.id)
		}
		bus.Respond(m, &cluster.Response{RequestID: m.RequestID, Rooms: ids})
	case cluster.ListRooms:
		bus.Respond(m, &cluster.Response{RequestID: m.RequestID, Rooms: append(sp.rooms.Names(), sp.sessions.ids()...)})
	case cluster.ServerSideEmit:
		sp.serving.serve(m, bus)
	}
}

// arrived tells of a publication of another server.
func (r receiver) arrived(m *cluster.Message) {
	if r.srv.opts.Arrived != nil && m.Position.Offset > 0 && m.From != r.srv.self() && len(m.Target.Rooms) == 1 {
		r.srv.opts.Arrived(m.Namespace, events.Room(m.Target.Rooms[0]))
	}
}

// Respond implements [cluster.Receiver].
func (r receiver) Respond(_ string, a *cluster.Response) { r.srv.requests.answered(a) }

// Resync implements [cluster.Receiver].
func (r receiver) Resync() {
	r.srv.resyncs.Add(1)
	for _, sp := range r.srv.spaces {
		if sp.shared() {
			sp.recent.lost()
		}
	}
	r.srv.catchUp()
}

// Entered implements [cluster.Enterer].
func (r receiver) Entered(namespace, room string) {
	if sp := r.srv.spaces[namespace]; sp != nil && r.srv.opts.History != nil {
		go sp.resyncRooms([]events.Room{events.Room(room)})
	}
}

// historyTime bounds one reading of the history.
const historyTime = 10 * time.Second

// resync brings every room to the latest that was published.
func (sp *space) resync() {
	heads := sp.rooms.Heads()
	names := make([]events.Room, 0, len(heads))
	for name := range heads {
		names = append(names, events.Room(name))
	}
	sp.resyncRooms(names)
}

func (sp *space) resyncRooms(names []events.Room) {
	ctx, cancel := context.WithTimeout(context.Background(), historyTime)
	defer cancel()
	latest, err := sp.srv.opts.History.Heads(ctx, sp.Name, names)
	if err != nil {
		sp.srv.opts.Logger.Error("rooms were not brought up to date", "namespace", sp.Name, "error", err)
		return
	}
	for room, head := range latest {
		sp.rooms.Refetch(string(room), head)
	}
}

// missed is the History for the rooms of a namespace.
func (sp *space) missed(room string, after, until uint64) []rooms.Publication[member] {
	ctx, cancel := context.WithTimeout(context.Background(), historyTime)
	defer cancel()
	var all []rooms.Publication[member]
	sp.srv.refetches.Add(1)
	for _, p := range sp.srv.opts.History.Missed(ctx, sp.Name, events.Room(room), after, until) {
		if p.At.Offset > 0 {
			sp.srv.refetched.Add(1)
		} else {
			sp.srv.gaps.Add(1)
		}
		b := newBroadcast(sp.Name, packetOf(p.Event, []json.RawMessage{p.Payload}, nil).Args, nil)
		b.room, b.position = room, p.At
		all = append(all, sp.publication(b, cluster.ID{}))
	}
	return all
}

// serving is what this server does when others emit to it.
type serving struct {
	mu sync.Mutex
	on map[string]func(args []json.RawMessage) (ack json.RawMessage)
}

// OnServerSideEmit sets what is done with an event that another server emits to
// the servers of a namespace. fn must not block; what it returns is the
// acknowledgement.
func (s *Server) OnServerSideEmit(namespace, event string, fn func(args []json.RawMessage) (ack json.RawMessage)) {
	serving := &s.spaces[namespace].serving
	serving.mu.Lock()
	defer serving.mu.Unlock()
	if serving.on == nil {
		serving.on = make(map[string]func([]json.RawMessage) json.RawMessage)
	}
	serving.on[event] = fn
}

func (v *serving) serve(m *cluster.Message, bus cluster.Bus) {
	var event string
	if len(m.Packet.Args) == 0 || json.Unmarshal(m.Packet.Args[0], &event) != nil {
		return
	}
	v.mu.Lock()
	fn := v.on[event]
	v.mu.Unlock()
	if fn == nil {
		return
	}
	if ack := fn(m.Packet.Args[1:]); m.RequestID != "" {
		bus.Respond(m, &cluster.Response{RequestID: m.RequestID, Acked: true, Ack: ack})
	}
}

// ServerSideEmit emits an event to the other servers of a namespace.
func (s *Server) ServerSideEmit(namespace, event string, args []json.RawMessage) error {
	_, bus, err := s.In(namespace).space()
	if err == nil && bus != nil {
		m := s.In(namespace).message(cluster.ServerSideEmit)
		m.Packet = packetOf(event, args, nil)
		bus.Publish(m)
	}
	return err
}

// ServerSideEmitWithAck is ServerSideEmit, and waits for the acknowledgement of
// each of them. What has come when ctx ends, or after 5 s, comes with an error.
func (s *Server) ServerSideEmitWithAck(ctx context.Context, namespace, event string, args []json.RawMessage) ([]json.RawMessage, error) {
	_, bus, err := s.In(namespace).space()
	if err != nil || bus == nil {
		return nil, err
	}
	m := s.In(namespace).message(cluster.ServerSideEmit)
	m.Packet = packetOf(event, args, nil)
	var acks []json.RawMessage
	err = s.requests.ask(ctx, bus, m, func(r *cluster.Response) { acks = append(acks, r.Ack) })
	return acks, err
}

// maxSweep is how long what no client will ask for any more may be kept.
const maxSweep = 5 * time.Second

// sweep drops it until ctx ends.
func (s *Server) sweep(ctx context.Context) {
	every.Do(ctx, min(maxSweep, s.opts.Recovery.Window), func(due time.Time) {
		s.recovery.sweep(due)
		for _, sp := range s.spaces {
			sp.recent.trim(due)
			sp.confirm(due)
		}
	})
}

// confirm drops from the trails what clients have certainly got: a ping was
// sent after it, and answered.
func (sp *space) confirm(now time.Time) {
	answered := now.Add(-sp.srv.engine.Silence() - time.Second)
	for _, s := range sp.sessions.all() {
		if s.recoverable && !s.is(stateEnded) && s.link.conn.Answering() {
			s.trail.confirm(answered)
		}
	}
}

// closeConnection ends the connection of a session, and with it all that it
// carries. The client is told, so that it does not come back by itself.
func (s *Session) closeConnection() {
	s.link.mu.Lock()
	all := slices.Clone(s.link.sessions)
	s.link.mu.Unlock()
	for _, other := range all {
		if other.is(stateOpen) {
			other.Disconnect()
		}
	}
	s.link.conn.Close(engineio.ReasonForcedClose)
}
