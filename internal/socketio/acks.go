package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// ErrTimeout is returned with the acknowledgements that came in time.
var ErrTimeout = errors.New("not everybody has acknowledged in time")

// An Ack is what a client, or a server, answers: of one argument that, of
// several an array of them, of none null.
type Ack struct {
	Value json.RawMessage
	// Attachments are the binary values that placeholders in Value stand for.
	Attachments [][]byte
}

// EmitWithAck is Emit, and waits for the acknowledgement of every session.
func (o Operator) EmitWithAck(ctx context.Context, timeout time.Duration, event string, args []json.RawMessage) ([]Ack, error) {
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
	local, forget := sp.broadcastWithAck(m, g.acked)
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
	acks    []Ack
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

func (g *gathering) acked(ack Ack) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acks = append(g.acks, ack)
	g.checkLocked()
}

// answered takes what another server says.
func (g *gathering) answered(r *cluster.Response) {
	if r.Acked {
		g.acked(Ack{r.Ack, r.Parts})
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
func (sp *space) broadcastWithAck(m *cluster.Message, fn func(Ack)) (n int, forget func()) {
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
func (s *Session) emitWithAck(p cluster.Packet, fn func(Ack)) (id uint64, ok bool) {
	s.mu.Lock()
	if s.state == stateEnded {
		s.mu.Unlock()
		return 0, false
	}
	if s.acks == nil {
		s.acks = make(map[uint64]func(Ack))
		// Its client may still acknowledge what it was sent by way of an earlier
		// connection.
		s.nextAck = uint64(rand.Uint32())
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

func (s *Session) takeAck(id uint64) func(Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.acks[id]
	delete(s.acks, id)
	return fn
}

// acknowledged handles a client's acknowledgement. One that nobody waits for,
// perhaps not any more, is dropped.
func (s *Session) acknowledged(p *packet, attachments [][]byte) error {
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
		fn(Ack{json.RawMessage("null"), nil})
	case 1:
		fn(Ack{bytes.Clone(args[0]), attachments})
	default:
		fn(Ack{appendArgs([]byte{'['}, args), attachments})
	}
	return nil
}
