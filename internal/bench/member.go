package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/link"
)

// A member is a client of the room whose connection is cut again and again.
// What it does is what the stock client of 4.6 and later does.
type member struct {
	run     *jitter
	polling bool
	url     int // of the next connection, an index
	rng     *rand.Rand
	backoff backoff
	link    link.Link
	unwatch func() bool // lets link outlive the run's context
	stale   func()      // ends the link before, which the server may believe in
	nextCut time.Time   // zero until members are cut

	// Connection state recovery.
	pid    string
	offset []byte // the last argument of the last event that ended with a string
	// What since asks for.
	epoch    string
	position uint64

	entered   bool     // CONNECT was answered
	joined    bool     // in the room
	early     [][]byte // events before CONNECT was answered: the stock client keeps them
	calls     int      // acknowledgements asked for
	heartbeat time.Duration
	alive     time.Time // when the server must have sent a heartbeat

	back      comeback
	ledger    ledger
	latencies []time.Duration
	caughtUp  []time.Duration
	returned  []time.Duration
}

// A comeback is one return after a loss of the connection.
type comeback struct {
	lost, connected time.Time
	target          int // what had been published when CONNECT was answered
	open            bool
	broken          bool // something is missing: it will never be caught up
}

// errEnded is returned when the server has ended the session in a way after
// which the stock client does not come back.
var errEnded = errors.New("the server ended the session")

// live is the life of a member that has been seated: until it is cut, or the
// server fails it, then away and back, until ctx ends.
func (m *member) live(ctx context.Context) {
	for {
		err := m.read(func() bool { return false })
		if ctx.Err() != nil {
			return
		}
		cut := m.due()
		m.leave(cut)
		if errors.Is(err, errEnded) {
			m.run.fail(err)
			return
		}
		if cut {
			m.run.cuts.Add(1)
		} else {
			m.run.drops.Add(1)
		}
		if m.comeBack(ctx, cut) != nil {
			return
		}
	}
}

// leave gives up the connection without a word. If that is to be silent, it
// stays open and unread until the next one is given up.
func (m *member) leave(cut bool) {
	if m.stale != nil {
		m.stale()
		m.stale = nil
	}
	end, unwatch := m.link.Cut, m.unwatch
	if cut && !m.polling && m.rng.Float64() < m.run.o.SilentShare {
		m.stale = func() { unwatch(); end() }
	} else {
		unwatch()
		end()
	}
	if m.joined {
		m.run.present.Add(-1)
	}
	m.back = comeback{lost: time.Now()}
}

// comeBack tries to connect as the stock client does. While the network is
// away every attempt fails at once.
func (m *member) comeBack(ctx context.Context, cut bool) error {
	absent := m.back.lost
	if cut {
		absent = absent.Add(m.run.o.Away)
	}
	for {
		if err := sleep(ctx, m.backoff.next()); err != nil {
			return err
		}
		if time.Now().Before(absent) {
			continue
		}
		err := m.open(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errEnded):
			m.run.fail(err)
			return err
		}
		if m.due() { // this attempt has met the next cut
			m.run.cuts.Add(1)
			absent = time.Now().Add(m.run.o.Away)
			continue
		}
		m.run.refused(err)
	}
}

// open connects, enters the namespace and is in the room when it returns.
func (m *member) open(ctx context.Context) error {
	url := m.run.o.URLs[m.url%len(m.run.o.URLs)]
	m.url++
	l, err := link.Dial(ctx, url, m.polling)
	if err != nil {
		return err
	}
	m.link, m.unwatch = l, context.AfterFunc(ctx, l.Cut)
	m.entered, m.joined, m.early = false, false, nil
	if err := m.enter(); err != nil {
		m.unwatch()
		l.Cut()
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

func (m *member) enter() error {
	m.link.Until(time.Now().Add(link.DialTimeout))
	first, err := m.link.Next()
	if err != nil {
		return fmt.Errorf("waiting for the handshake: %w", err)
	}
	var hello struct{ PingInterval, PingTimeout int }
	if len(first) == 0 || json.Unmarshal(first[1:], &hello) != nil {
		return fmt.Errorf("handshake %.100q", first)
	}
	m.backoff.reset()
	m.heartbeat = time.Duration(hello.PingInterval+hello.PingTimeout) * time.Millisecond
	m.schedule()
	if err := m.link.Send(m.connectPacket()); err != nil {
		return err
	}
	return m.read(func() bool { return m.joined })
}

// schedule sets when the connection is cut, and when it is given up because
// the server is silent.
func (m *member) schedule() {
	now := time.Now()
	m.alive = now.Add(m.heartbeat)
	for !m.nextCut.IsZero() && m.nextCut.Before(now) {
		m.nextCut = m.nextCut.Add(m.run.o.Every)
	}
	m.wait()
}

func (m *member) wait() {
	if m.run.calm.Load() {
		m.nextCut = time.Time{}
	}
	if m.nextCut.IsZero() || m.alive.Before(m.nextCut) {
		m.link.Until(m.alive)
	} else {
		m.link.Until(m.nextCut)
	}
}

// due reports whether it is time for the next cut.
func (m *member) due() bool { return !m.nextCut.IsZero() && !time.Now().Before(m.nextCut) }

func (m *member) connectPacket() []byte {
	auth := map[string]string{}
	if m.run.o.Token != "" {
		auth["token"] = m.run.o.Token
	}
	if m.pid != "" {
		auth["pid"] = m.pid
		if m.offset != nil {
			auth["offset"] = string(m.offset)
		}
	}
	if len(auth) == 0 {
		return []byte("40")
	}
	raw, _ := json.Marshal(auth) // of strings
	return append([]byte("40"), raw...)
}

// read handles what comes until done, or until the connection is lost.
func (m *member) read(done func() bool) error {
	for !done() {
		b, err := m.link.Next()
		if err != nil {
			return err
		}
		if err := m.packet(b); err != nil {
			return err
		}
	}
	return nil
}

var (
	gapPrefix = []byte(`["gap",`)
	errClosed = errors.New("the server closed the connection")
)

func (m *member) packet(b []byte) error {
	switch {
	case len(b) == 1 && b[0] == '2':
		m.alive = time.Now().Add(m.heartbeat)
		m.wait()
		return m.link.Send([]byte("3"))
	case len(b) == 1 && b[0] == '1':
		return errClosed
	case len(b) < 2 || b[0] != '4':
		return nil
	}
	switch body := b[2:]; b[1] {
	case '0':
		return m.connected(body)
	case '1':
		return fmt.Errorf("%w: it was disconnected", errEnded)
	case '2':
		if !m.entered {
			m.early = append(m.early, bytes.Clone(body))
			return nil
		}
		m.event(body)
	case '3':
		return m.acked(body)
	case '4':
		return fmt.Errorf("%w: it was refused: %.200s", errEnded, body)
	}
	return nil
}

// connected handles the answer to CONNECT.
func (m *member) connected(body []byte) error {
	var answer struct{ PID string }
	if len(body) > 0 && json.Unmarshal(body, &answer) != nil {
		return fmt.Errorf("answer to CONNECT %.100q", body)
	}
	recovered := answer.PID != "" && answer.PID == m.pid
	if !m.run.o.NoRecovery {
		m.pid = answer.PID
	}
	m.entered = true
	if !m.back.lost.IsZero() {
		m.back.connected, m.back.target, m.back.open = time.Now(), int(m.run.published.Load()), true
		if recovered {
			m.run.recovered.Add(1)
		} else {
			m.run.unrecovered.Add(1)
		}
	}
	for _, e := range m.early {
		m.event(e)
	}
	m.early = nil
	if recovered {
		m.inRoom()
		return nil
	}
	m.calls++
	packet := append([]byte("42"), strconv.Itoa(m.calls)...)
	return m.link.Send(append(packet, m.joinEvent()...))
}

// joinEvent is the event that joins the room. It asks for what was missed if
// the server has said where the client stands.
func (m *member) joinEvent() []byte {
	payload := m.run.o.JoinPayload
	if m.run.o.Since && m.epoch != "" {
		payload = withSince(payload, m.epoch, m.position)
	}
	event, _ := json.Marshal([]any{m.run.o.JoinEvent, payload}) // both have been JSON
	return event
}

// withSince makes of a room's name, or of an object, an object with since.
func withSince(payload json.RawMessage, epoch string, offset uint64) json.RawMessage {
	object := map[string]any{}
	if json.Unmarshal(payload, &object) != nil {
		object = map[string]any{"room": payload}
	}
	object["since"] = map[string]any{"epoch": epoch, "offset": offset}
	raw, _ := json.Marshal(object)
	return raw
}

// acked handles the acknowledgement of the join.
func (m *member) acked(body []byte) error {
	id, ok := number(body, "")
	if !ok || id != m.calls || m.joined {
		return nil
	}
	var acks []struct {
		OK     *bool
		Epoch  string
		Offset uint64
	}
	at := bytes.IndexByte(body, '[')
	if at >= 0 && json.Unmarshal(body[at:], &acks) == nil && len(acks) > 0 {
		if ack := acks[0]; ack.OK != nil && !*ack.OK {
			return fmt.Errorf("%w: %s was refused: %.200s", errEnded, m.run.o.JoinEvent, body[at:])
		} else if ack.Epoch != "" {
			m.stand(ack.Epoch, ack.Offset)
		}
	}
	m.inRoom()
	return nil
}

// stand notes where the room is. What a member that comes back has missed is
// still to come: only its offsets tell how far it is.
func (m *member) stand(epoch string, head uint64) {
	switch m.epoch {
	case "":
		m.position = head
	case epoch:
	default:
		m.position = 0
	}
	m.epoch = epoch
}

func (m *member) inRoom() {
	m.joined = true
	m.run.present.Add(1)
	m.progress()
}

// event handles an event, which is an array in JSON.
func (m *member) event(body []byte) {
	if m.pid != "" {
		if s, ok := lastString(body); ok {
			m.offset = append(m.offset[:0], s...)
		}
	}
	if bytes.HasPrefix(body, gapPrefix) {
		var args []json.RawMessage
		var s span
		if json.Unmarshal(body, &args) == nil && len(args) > 1 && json.Unmarshal(args[1], &s) == nil {
			m.ledger.tell(s)
		}
		return
	}
	seq, ok := number(body, `"seq":`)
	if !ok {
		return
	}
	at, _ := number(body, `"at":`)
	offset, numbered := number(body, `"offset":`)
	if numbered {
		m.position = uint64(offset)
	}
	fresh, adjacent := m.ledger.take(seq, uint64(offset))
	if !fresh {
		return
	}
	if !adjacent {
		m.back.broken = true
	}
	m.latencies = append(m.latencies, time.Duration(time.Now().UnixNano()-int64(at)))
	m.run.delivered()
	m.progress()
}

// progress notes when a member that has come back has caught up.
func (m *member) progress() {
	if !m.back.open || m.ledger.next < m.back.target {
		return
	}
	m.back.open = false
	if !m.back.broken {
		now := time.Now()
		m.caughtUp = append(m.caughtUp, now.Sub(m.back.connected))
		m.returned = append(m.returned, now.Sub(m.back.lost))
	}
}

// lastString returns the last of an event's arguments if it is a string
// without escapes. To the stock client any such string is an offset.
func lastString(event []byte) ([]byte, bool) {
	inner, ok := bytes.CutSuffix(event, []byte(`"]`))
	if !ok {
		return nil, false
	}
	at := bytes.LastIndexByte(inner, '"')
	if at < 1 || inner[at-1] != ',' && inner[at-1] != '[' {
		return nil, false
	}
	return inner[at+1:], true
}
