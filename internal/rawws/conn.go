package rawws

import (
	"context"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/websocket"
)

// Close codes beside those of RFC 6455.
const (
	statusAuth        websocket.Status = 4401 // nobody knows who the client is, or its token has ended
	statusAuthTimeout websocket.Status = 4408 // it did not say in time
)

// A Conn is a connection. The methods that are not marked otherwise may be
// called concurrently.
type Conn struct {
	srv     *Server
	ws      *websocket.Conn
	address string
	tenant  string       // that the address names, "" if none
	meeting string       // that the path names, "" if none
	round   int          // of the watch
	removed bool         // guarded by the server's mutex, as round is
	seen    atomic.Int64 // when the client was heard last, in nanoseconds
	pings   atomic.Int32 // of the watch, since the client was heard last
	rate    bucket       // of the reader

	// Of the goroutine that handles frames.
	identity *auth.Identity // who the client is, before it has a session
	authErr  *events.Error  // why it is not who it says
	session  *Session       // nil until it is known who the client is
	stays    bool           // although that will not be known
	mistaken []Name         // dialects that frames looked like, which the log has once

	ctx    context.Context // ends with the connection, when what it said has been handled
	cancel context.CancelFunc
	gone   atomic.Bool // the client has
	ending atomic.Bool // the server has closed: what the client said before it knew is not handled

	// What is sent while somebody is in hear was heard by the client.
	hearing atomic.Int32
	heard   atomic.Bool
	early   early // until it is known what the client speaks

	mu      sync.Mutex
	queue   []job
	queued  int // bytes
	running bool
	paused  bool
	ended   bool // the connection has ended, and with it the queue
	choice  chosen
	speaker Speaker     // nil until a dialect is chosen
	timer   *time.Timer // of what must happen in time; nil is nothing
}

// A job is a frame to handle, or something to do in its place or between frames.
type job struct {
	frame []byte
	do    func()
}

// maxQueued and maxQueuedBytes are how much waits to be handled before a
// connection is not read any more.
const (
	maxQueued      = 64
	maxQueuedBytes = 256 << 10
)

var _ websocket.Handler = (*Conn)(nil)

// start begins reading.
func (c *Conn) start(choice chosen, buffered []byte) {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.choice = choice
	switch {
	case choice.dialect != "" && !choice.provisional:
		c.push(job{do: func() { c.decide(choice) }})
	case c.identity != nil:
		if (choice.dialect == "" || choice.dialect == Service) && c.srv.dialects[Service].Speak != nil {
			c.push(job{do: c.listenEarly})
		}
		c.arm(c.srv.opts.Limits.Silence, c.listens)
	}
	c.ws.Start(c, buffered)
	if c.srv.add(c) {
		c.dismiss()
	}
}

// arm has fn called after a while, unless something else is armed before.
func (c *Conn) arm(after time.Duration, fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disarmLocked()
	if !c.ended {
		c.timer = time.AfterFunc(after, fn)
	}
}

func (c *Conn) disarm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disarmLocked()
}

func (c *Conn) disarmLocked() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// Message implements [websocket.Handler]. A binary frame is as good as a text.
func (c *Conn) Message(ws *websocket.Conn, _ *websocket.Turn, op websocket.Opcode, data []byte) {
	now := time.Now()
	c.seen.Store(now.UnixNano())
	c.pings.Store(0)
	if op == websocket.OpBinary && !utf8.Valid(data) {
		c.push(job{do: func() { c.End(websocket.StatusUnsupportedData, "binary data that is not text") }})
		return
	}
	data = slices.Clone(data)
	if !c.rate.take(now, c.srv.opts.Limits.Rate, c.srv.opts.Limits.Burst) {
		c.push(job{frame: data, do: func() {
			c.voice().Refuse(frame{dropped: data}, &events.Error{Code: events.CodeRateLimited, Message: "too many messages: wait a moment", RetryAfter: 1})
		}})
		return
	}
	c.push(job{frame: data})
}

// TooBig implements [websocket.TooBigHandler]. What was said before is answered
// before.
func (c *Conn) TooBig(*websocket.Conn) {
	c.push(job{do: func() {
		c.voice().Refuse(frame{}, events.Errorf(events.CodeTooLarge, "a message may have %d bytes", c.srv.opts.Limits.MaxMessage))
		c.End(websocket.StatusTooBig, websocket.ReasonTooBig)
	}})
}

// Pong implements [websocket.Handler].
func (c *Conn) Pong(_ *websocket.Conn, payload []byte) {
	c.pings.Store(0)
	if !c.srv.opts.Limits.IdleData {
		c.seen.Store(time.Now().UnixNano())
	}
	if len(payload) != 8 {
		return // one of the watch
	}
	if alive, ok := c.voice().(aliveSpeaker); ok {
		mark := binary.BigEndian.Uint64(payload)
		c.push(job{do: func() { alive.Alive(c.ctx, mark) }})
	}
}

// Closed implements [websocket.Handler].
func (c *Conn) Closed(_ *websocket.Conn, why *websocket.CloseError) {
	c.gone.Store(true)
	c.push(job{do: func() { c.close(why) }})
}

// over reports whether nobody hears any more what is said.
func (c *Conn) over() bool { return c.gone.Load() || c.ending.Load() }

// push puts a job behind those that wait.
func (c *Conn) push(j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.queue = append(c.queue, j)
	c.queued += len(j.frame)
	if !c.paused && (len(c.queue) >= maxQueued || c.queued >= maxQueuedBytes) {
		c.paused = true
		c.ws.Pause()
	}
	if !c.running {
		c.running = true
		go c.work()
	}
}

// work does what waits, until nothing does. The connection counts as being
// worked on until it has been closed, so nobody need wait for this by itself.
func (c *Conn) work() {
	for {
		c.mu.Lock()
		if c.paused && len(c.queue) <= maxQueued/2 && c.queued <= maxQueuedBytes/2 {
			c.paused = false
			c.ws.Resume()
		}
		if len(c.queue) == 0 {
			c.queue, c.running = nil, false
			c.mu.Unlock()
			return
		}
		j := c.queue[0]
		c.queue[0] = job{}
		c.queue = c.queue[1:]
		c.queued -= len(j.frame)
		c.mu.Unlock()
		c.guard(func() {
			switch {
			case j.do != nil:
				j.do()
			case !c.ending.Load():
				c.receive(parseFrame(j.frame))
			}
		})
	}
}

// guard runs what a dialect does: its panic is the fault of one connection, not
// of the server.
func (c *Conn) guard(fn func()) {
	defer func() {
		if p := recover(); p != nil {
			c.log().Error("dialect panicked", "panic", p)
			c.End(websocket.StatusInternalError, "the server failed: its log says more")
		}
	}()
	fn()
}

// silence is how long nothing was heard of the client.
func (c *Conn) silence() time.Duration { return time.Since(time.Unix(0, c.seen.Load())) }

// close ends what belongs to a connection that has ended.
func (c *Conn) close(why *websocket.CloseError) {
	c.cancel()
	c.disarm()
	if c.speaker != nil {
		c.guard(c.speaker.Left)
	}
	if c.session != nil {
		c.guard(c.session.end)
	}
	c.log().Debug("connection ended", "code", int(why.Code), "reason", why.Reason)
	c.mu.Lock()
	c.ended, c.queue = true, nil
	c.mu.Unlock()
	c.srv.remove(c)
}

// unanswered reports whether a ping was not answered since the last time it was asked.
// Of a connection that is not read, because too much waits, nobody can tell.
func (c *Conn) unanswered() bool {
	c.mu.Lock()
	paused := c.paused
	c.mu.Unlock()
	if paused {
		c.pings.Store(0)
	}
	return c.pings.Add(1) > 1
}

// hear passes on what the server said to the session.
func (c *Conn) hear(n Notice) {
	if n.Room == "" || !c.early.keep(n) {
		c.tell(c.voice(), n)
	}
}

func (c *Conn) tell(speaker Speaker, n Notice) {
	c.hearing.Add(1)
	defer c.hearing.Add(-1)
	speaker.Hear(n)
}

// noteHeard notes that the client hears something of its dialect, if that is
// so: then it keeps it.
func (c *Conn) noteHeard() {
	if c.hearing.Load() > 0 {
		c.heard.Store(true)
	}
}

// Send sends a text.
func (c *Conn) Send(text []byte) {
	c.noteHeard()
	c.ws.Send(textFrame(text))
}

// Ask sends a ping with a mark: when the client has answered it, its speaker is
// told, and what was sent before has been received.
func (c *Conn) Ask(mark uint64) { c.ws.Ping(binary.BigEndian.AppendUint64(nil, mark)) }

// SendFrame sends a frame that others may get too, nothing if it is nil.
func (c *Conn) SendFrame(frame []byte) {
	if frame != nil {
		c.noteHeard()
		c.ws.SendShared(frame)
	}
}

// SendJSON sends a value, which must be encodable.
func (c *Conn) SendJSON(v any) {
	text, err := encode(v)
	if err != nil {
		c.log().Error("frame was not sent", "error", err)
		return
	}
	c.Send(text)
}

// End closes the connection, after what was sent before. What the client has
// said and was not handled yet is dropped: it may not be who it was.
func (c *Conn) End(code websocket.Status, reason string) {
	c.ending.Store(true)
	c.ws.Close(code, reason)
}

// dismiss sends the client away as the server stops, when what it has said
// until now has been answered.
func (c *Conn) dismiss() {
	c.push(job{do: func() { c.End(websocket.StatusGoingAway, stopping) }})
}

func (c *Conn) log() *slog.Logger {
	log := c.srv.opts.Logger.With("transport", "websocket", "dialect", c.dialect(), "address", c.address)
	if c.session != nil {
		log = log.With("session", c.session.id).With(c.session.Identity().LogAttrs()...)
	}
	return log
}

func textFrame(text []byte) []byte {
	return websocket.AppendFrame(make([]byte, 0, len(text)+10), websocket.OpText, text)
}
