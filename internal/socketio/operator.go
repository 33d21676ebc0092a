package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/rooms"
)

// An Operator is a choice of sessions of a namespace, on all servers of the
// cluster, and does something with them.
type Operator struct {
	srv       *Server
	namespace string
	target    cluster.Target
	local     bool
	volatile  bool
	position  cluster.Position
}

// In chooses the sessions in any of some rooms; without rooms, all. The id of
// a session is the name of a room that it alone is in.
func (s *Server) In(namespace string, rooms ...string) Operator {
	return Operator{srv: s, namespace: namespace, target: cluster.Target{Rooms: rooms}}
}

// Except leaves out those in some rooms.
func (o Operator) Except(rooms ...string) Operator {
	o.target.Except = append(o.target.Except[:len(o.target.Except):len(o.target.Except)], rooms...)
	return o
}

// Local leaves out those of other servers.
func (o Operator) Local() Operator {
	o.local = true
	return o
}

// Volatile lets those do without what is emitted who cannot take it at once.
func (o Operator) Volatile() Operator {
	o.volatile = true
	return o
}

// space returns the namespace, and the bus unless this server alone is meant.
func (o Operator) space() (*space, cluster.Bus, error) {
	sp := o.srv.spaces[o.namespace]
	if sp == nil {
		return nil, nil, fmt.Errorf("emitting to %s: no such namespace", o.namespace)
	}
	if o.local || !sp.shared() {
		return sp, nil, nil
	}
	return sp, o.srv.opts.Bus, nil
}

// message is what the other servers are told.
func (o Operator) message(kind cluster.Kind) *cluster.Message {
	return &cluster.Message{Kind: kind, Namespace: o.namespace, Target: o.target, Volatile: o.volatile, Position: o.position}
}

// Emit sends an event. The arguments are JSON, with placeholders for
// attachments; they are not checked against the contract.
func (o Operator) Emit(event string, args []json.RawMessage, attachments [][]byte) error {
	sp, bus, err := o.space()
	if err != nil {
		return err
	}
	if sp.Internal == nil {
		o.srv.published.Add(1)
	}
	m := o.message(cluster.Broadcast)
	m.Packet = packetOf(event, args, attachments)
	if bus != nil && bus.Ordered() && !o.volatile {
		bus.Publish(m) // and receives it
		return nil
	}
	sp.broadcast(m)
	if bus != nil {
		bus.Publish(m)
	}
	return nil
}

func packetOf(event string, args []json.RawMessage, attachments [][]byte) cluster.Packet {
	name := appendString(make([]byte, 0, len(event)+2), event)
	return cluster.Packet{Args: append([]json.RawMessage{name}, args...), Attachments: attachments}
}

// Join puts the sessions into rooms.
func (o Operator) Join(rooms ...string) error { return o.do(cluster.Join, rooms, false) }

// Leave takes the sessions out of rooms.
func (o Operator) Leave(rooms ...string) error { return o.do(cluster.Leave, rooms, false) }

// Disconnect ends the sessions; with closing, their connections too.
func (o Operator) Disconnect(closing bool) error { return o.do(cluster.Disconnect, nil, closing) }

func (o Operator) do(kind cluster.Kind, rooms []string, closing bool) error {
	sp, bus, err := o.space()
	if err != nil {
		return err
	}
	m := o.message(kind)
	m.Rooms, m.Close = rooms, closing
	sp.perform(m)
	if bus != nil {
		bus.Publish(m)
	}
	return nil
}

// broadcast gives a message to the sessions of this server.
func (sp *space) broadcast(m *cluster.Message) {
	b := received(m)
	p := sp.publication(b, m.ID)
	if m.Volatile {
		p = volatile(b)
	}
	if b.target == nil && sp.sessions.find(b.room) == nil {
		sp.rooms.Publish(b.room, p)
		return
	}
	if p.Begin != nil { // nobody departs between that and the deliveries
		sp.wide.Lock()
		defer sp.wide.Unlock()
		p.Begin()
	}
	for one := range sp.recipients(m.Target) {
		p.Deliver(one, false)
	}
}

// publication returns a broadcast that gets its place in the order of the
// namespace, at id if it has one, and is kept for clients that come back.
func (sp *space) publication(b *broadcast, id cluster.ID) rooms.Publication[member] {
	return rooms.Publication[member]{
		Position: b.position,
		Begin: func() cluster.ID {
			sp.recent.add(b, id)
			return b.id
		},
		Deliver: func(m member, late bool) { m.deliver(b, late) },
	}
}

// volatile returns a broadcast that has no place and is not kept.
func volatile(b *broadcast) rooms.Publication[member] {
	return rooms.Publication[member]{Deliver: func(m member, _ bool) { m.deliverVolatile(b) }}
}

// received returns a message as it is kept and sent.
func received(m *cluster.Message) *broadcast {
	b := newBroadcast(m.Namespace, m.Packet.Args, m.Packet.Attachments)
	b.position = m.Position
	if len(m.Target.Rooms) == 1 && len(m.Target.Except) == 0 {
		b.room = m.Target.Rooms[0]
	} else {
		b.target = &m.Target
	}
	return b
}

// perform does to the sessions of this server what a message says.
func (sp *space) perform(m *cluster.Message) {
	for s := range sp.selected(m.Target) {
		switch m.Kind {
		case cluster.Join:
			for _, room := range m.Rooms {
				s.join(room)
			}
		case cluster.Leave:
			for _, room := range m.Rooms {
				if s.leave(room) && sp.Left != nil {
					s.guard("leaving", func() { sp.Left(s, events.Room(room)) })
				}
			}
		case cluster.Disconnect:
			s.trail.stop()
			if m.Close {
				s.closeConnection()
			} else {
				s.Disconnect()
			}
		}
	}
}

// selected returns the sessions of this server that a target selects.
func (sp *space) selected(t cluster.Target) map[*Session]bool {
	chosen := make(map[*Session]bool)
	for m := range sp.recipients(t) {
		if s, ok := m.(*Session); ok {
			chosen[s] = true
		}
	}
	return chosen
}

// recipients returns those of this server who get what is sent to a target.
func (sp *space) recipients(t cluster.Target) map[member]bool {
	chosen := make(map[member]bool)
	if len(t.Rooms) == 0 {
		for _, s := range sp.sessions.all() {
			chosen[s] = true
		}
	}
	for _, room := range t.Rooms {
		for _, s := range sp.members(room) {
			chosen[s] = true
		}
	}
	for _, room := range t.Except {
		for _, s := range sp.members(room) {
			delete(chosen, s)
		}
	}
	return chosen
}

func (sp *space) members(room string) []member {
	if s := sp.sessions.find(room); s != nil {
		return []member{s}
	}
	return sp.rooms.Members(room)
}

// answerTime is how long other servers may take to answer.
const answerTime = 5 * time.Second

// Sockets describes the sessions. What has been answered when ctx ends, or
// after 5 s, comes with an error.
func (o Operator) Sockets(ctx context.Context) ([]cluster.Socket, error) {
	sp, bus, err := o.space()
	if err != nil {
		return nil, err
	}
	all := sp.describe(o.target)
	if bus == nil {
		return all, nil
	}
	err = o.srv.requests.ask(ctx, bus, o.message(cluster.FetchSockets), func(r *cluster.Response) { all = append(all, r.Sockets...) })
	return all, err
}

// describe returns the sessions of this server that a target selects.
func (sp *space) describe(t cluster.Target) []cluster.Socket {
	all := []cluster.Socket{}
	for s := range sp.selected(t) {
		handshake, _ := json.Marshal(map[string]any{
			"headers": struct{}{}, "query": struct{}{}, "auth": struct{}{}, "url": "", "time": "", "issued": 0,
			"address": s.Address(), "xdomain": false, "secure": false,
		})
		data, _ := json.Marshal(map[string]any{"userID": s.Identity().User})
		all = append(all, cluster.Socket{ID: s.id, Handshake: handshake, Rooms: append([]string{s.id}, sp.rooms.Rooms(s)...), Data: data})
	}
	return all
}
