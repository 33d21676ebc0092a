package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// ErrTimeout is returned with the acknowledgements that came in time.
var ErrTimeout = errors.New("not everybody has acknowledged in time")

// EmitWithAck is Emit, and waits for the acknowledgement of every session. An
// acknowledgement of one argument is that; of several, an array of them; of
// none, null. Binary values in them are lost.
func (o Operator) EmitWithAck(ctx context.Context, timeout time.Duration, event string, args []json.RawMessage) ([]json.RawMessage, error) {
	sp, bus, err := o.space()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	o.srv.published.Add(1)
	m := o.message(cluster.Broadcast)
	m.Packet, m.Timeout = packetOf(event, args, nil), timeout
	g := &gathering{done: make(chan struct{})}
	if bus != nil {
		servers, err := bus.Servers(ctx, o.namespace)
		if err != nil {
			return nil, err
		}
		g.servers = servers - 1
		defer o.srv.requests.begin(m, g.answered)()
	}
	local, forget := sp.broadcastWithAck(m, func(ack json.RawMessage) { g.acked(ack) })
	defer forget()
	g.expect(local)
	if bus != nil && g.servers > 0 {
		bus.Publish(m)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		err = ErrTimeout
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acks, err
}

// A gathering is the acknowledgements of one broadcast.
type gathering struct {
	mu      sync.Mutex
	servers int // that have not told how many of their sessions will ack
	clients int // all that are known of
	local   bool
	acks    []json.RawMessage
	done    chan struct{}
	over    bool
}

// expect notes how many sessions of this server will ack.
func (g *gathering) expect(local int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.local = true
	g.clients += local
	g.checkLocked()
}

func (g *gathering) acked(ack json.RawMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acks = append(g.acks, ack)
	g.checkLocked()
}

// answered takes what another server says.
func (g *gathering) answered(r *cluster.Response) {
	if r.Acked {
		g.acked(r.Ack)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.servers--
	g.clients += r.Clients
	g.checkLocked()
}

func (g *gathering) checkLocked() {
	if g.local && g.servers <= 0 && len(g.acks) >= g.clients && !g.over {
		g.over = true
		close(g.done)
	}
}

// broadcastWithAck gives a message to the sessions of this server, and returns
// how many they are. fn is called with each acknowledgement until forget is.
func (sp *space) broadcastWithAck(m *cluster.Message, fn func(ack json.RawMessage)) (n int, forget func()) {
	chosen := sp.selected(m.Target)
	ids := make(map[*Session]uint64, len(chosen))
	for s := range chosen {
		if id, ok := s.emitWithAck(m.Packet, fn); ok {
			ids[s] = id
		}
	}
	return len(ids), func() {
		for s, id := range ids {
			s.takeAck(id)
		}
	}
}

// emitWithAck sends an event that the client acknowledges. It has no stamp: a
// client that comes back does not get it again.
func (s *Session) emitWithAck(p cluster.Packet, fn func(ack json.RawMessage)) (id uint64, ok bool) {
	s.mu.Lock()
	if s.state == stateEnded {
		s.mu.Unlock()
		return 0, false
	}
	if s.acks == nil {
		s.acks = make(map[uint64]func(json.RawMessage))
	}
	id = s.nextAck
	s.nextAck++
	s.acks[id] = fn
	s.mu.Unlock()
	kind := typeEvent
	if len(p.Attachments) > 0 {
		kind = typeBinaryEvent
	}
	b := appendHeader(nil, kind, len(p.Attachments), s.namespace, true, id)
	s.space.srv.delivered.Add(1)
	s.send(nil, appendArgs(append(b, '['), p.Args), p.Attachments)
	return id, true
}

func (s *Session) takeAck(id uint64) func(json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.acks[id]
	delete(s.acks, id)
	return fn
}

// acknowledged handles a client's acknowledgement. One that nobody waits for,
// perhaps not any more, is dropped.
func (s *Session) acknowledged(p *packet) error {
	args, err := splitArray(p.data)
	if err != nil {
		return err
	}
	fn := s.takeAck(p.id)
	if fn == nil {
		return nil
	}
	switch len(args) {
	case 0:
		fn(json.RawMessage("null"))
	case 1:
		fn(append(json.RawMessage(nil), args[0]...))
	default:
		fn(appendArgs([]byte{'['}, args))
	}
	return nil
}
