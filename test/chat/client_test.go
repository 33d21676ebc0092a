package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A way is how a client comes back.
type way int

const (
	recovers way = iota // its session, as clients do from 4.6 on; with since if that fails
	resumes             // joins with since
	anew                // joins as if for the first time, and reads what was said
	ways
)

// A client is one tab, in one conversation. It loses its connection as its stage
// wants, and comes back.
type client struct {
	stage *stage
	token string
	way   way
	url   int  // of the next connection, an index
	moves bool // each time to the next instance
	rng   *rand.Rand

	mu        sync.Mutex
	conn      *websocket.Client // nil while it is away
	inside    bool              // CONNECT was answered
	joined    bool              // and so was joining, or the session was recovered
	pid       string
	recovered bool     // the session is one that was lost
	last      []byte   // the last argument of the last event that ended with a string
	early     [][]byte // events before CONNECT was answered
	calls     int
	waiting   map[int]func(ack []byte) // for acknowledgements, by their number; nil is that none comes
	view      view
}

// live connects and comes back until ctx ends.
func (c *client) live(ctx context.Context) {
	for ctx.Err() == nil {
		c.visit(ctx)
		pause(ctx, time.Duration(10+c.rng.IntN(300))*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// visit is one connection, from its beginning to its end.
func (c *client) visit(ctx context.Context) {
	url := c.stage.URLs()[c.url%len(c.stage.URLs())]
	if c.moves {
		c.url++
	}
	opening, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(opening, url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return // nobody is there
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if c.stage.cutting.Load() {
		cut := time.AfterFunc(life(c.rng), func() { c.cut(conn) })
		defer cut.Stop()
	}
	defer c.leave(conn)
	for {
		op, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if op == websocket.OpText && c.packet(conn, b) {
			return
		}
	}
}

// life is how long a connection lasts that is cut.
func life(rng *rand.Rand) time.Duration {
	return time.Duration(100+rng.IntN(size(600, 3000))) * time.Millisecond
}

// cut ends a connection as a network that fails, unless the cuts are over.
func (c *client) cut(conn *websocket.Client) {
	if !c.stage.cutting.Load() {
		return
	}
	c.stage.cuts.Add(1)
	conn.Abort()
}

func (c *client) leave(conn *websocket.Client) {
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.inside, c.joined, c.early = nil, false, false, nil
	for _, then := range c.waiting {
		then(nil)
	}
	clear(c.waiting)
}

// packet handles one of Engine.IO.
func (c *client) packet(conn *websocket.Client, b []byte) (done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	switch {
	case len(b) == 0:
	case b[0] == '0':
		c.write(c.connectPacket())
	case b[0] == '2':
		c.write([]byte("3"))
	case b[0] == '1':
		return true
	case len(b) > 1 && b[0] == '4':
		return c.message(b[1], b[2:])
	}
	return false
}

// write sends a packet. If that fails, so does reading.
func (c *client) write(b []byte) { c.conn.WriteMessage(websocket.OpText, b) }

func (c *client) connectPacket() []byte {
	auth := map[string]string{"token": c.token}
	if c.pid != "" {
		auth["pid"] = c.pid
		if c.last != nil {
			auth["offset"] = string(c.last)
		}
	}
	raw, _ := json.Marshal(auth) // of strings
	return append([]byte("40"), raw...)
}

// message handles one of Socket.IO.
func (c *client) message(typ byte, body []byte) (done bool) {
	switch typ {
	case '0':
		c.connected(body)
	case '1', '4': // as by an instance that is ending
		return true
	case '2':
		if !c.inside {
			c.early = append(c.early, bytes.Clone(body))
			return false
		}
		c.event(body)
	case '3':
		c.acked(body)
	}
	return false
}

func (c *client) connected(body []byte) {
	var answer struct{ PID string }
	if err := json.Unmarshal(body, &answer); err != nil {
		c.stage.fail("client", "answer to CONNECT %s: %v", body, err)
		return
	}
	c.recovered = answer.PID != "" && answer.PID == c.pid
	if c.recovered {
		c.stage.recovered.Add(1)
	}
	c.stage.visits.Add(1)
	if c.way == recovers {
		c.pid = answer.PID
	}
	c.inside, c.joined = true, c.recovered && c.view.entered
	if !c.joined {
		c.join()
	}
	for _, e := range c.early {
		c.event(e)
	}
	c.early = nil
}

// join enters the conversation, or begins one.
func (c *client) join() {
	payload := map[string]any{"stream": true}
	if c.view.room != "" {
		payload["chatRoomID"] = c.view.room
	}
	since := c.way != anew && c.view.epoch != ""
	if since {
		payload["since"] = map[string]any{"epoch": c.view.epoch, "offset": c.view.through()}
	}
	c.view.begin()
	c.send("ai_chat_room_join", payload, func(ack []byte) {
		if ack == nil {
			return
		}
		var in joinAck
		err := json.Unmarshal(ack, &in)
		if err == nil && !in.OK {
			err = errors.New("refused")
		}
		if err == nil {
			err = c.view.enter(in, since)
		}
		if err != nil {
			c.stage.fail("join", "way %d, %s: %v", c.way, ack, err)
			return
		}
		c.joined = true
	})
}

// send emits an event; then gets the acknowledgement, or nil if the connection
// is lost. The mutex is held, also for then.
func (c *client) send(event string, payload any, then func(ack []byte)) {
	c.calls++
	c.waiting[c.calls] = then
	raw, err := json.Marshal([]any{event, payload})
	if err != nil {
		panic(err) // of the test's own making
	}
	c.write(append([]byte("42"+strconv.Itoa(c.calls)), raw...))
}

// try emits an event, and returns false if there was no answer.
func (c *client) try(event string, payload, into any) bool {
	answer := make(chan []byte, 1)
	c.mu.Lock()
	if !c.joined {
		c.mu.Unlock()
		return false
	}
	c.send(event, payload, func(ack []byte) { answer <- ack })
	c.mu.Unlock()
	raw := <-answer
	if raw != nil && into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			c.stage.fail("client", "acknowledgement %s: %v", raw, err)
		}
	}
	return raw != nil
}

// call emits an event until there is an answer.
func (c *client) call(event string, payload, into any) {
	for !c.try(event, payload, into) && c.stage.ctx.Err() == nil {
		pause(c.stage.ctx, 10*time.Millisecond)
	}
}

// say says something, once, and returns the number of the message.
func (c *client) say(text string, more ...string) uint64 {
	message := map[string]string{"text": text}
	if len(more) > 0 {
		message["action"] = more[0]
	}
	var ack struct {
		OK     bool
		Offset uint64
		Error  any
	}
	c.call("ai_chat_user_message", map[string]any{
		"chatRoomID": c.room(), "message": message, "tenantID": "default",
		"clientMessageID": fmt.Sprintf("%p %d", c, c.stage.said.Add(1)),
	}, &ack)
	if !ack.OK && c.stage.ctx.Err() == nil {
		c.stage.fail("say", "%q: %v", text, ack.Error)
	}
	return ack.Offset
}

func (c *client) acked(body []byte) {
	at := bytes.IndexByte(body, '[')
	if at < 0 {
		return
	}
	n, _ := strconv.Atoi(string(body[:at]))
	var args []json.RawMessage
	if then := c.waiting[n]; then != nil && json.Unmarshal(body[at:], &args) == nil && len(args) > 0 {
		delete(c.waiting, n)
		then(args[0])
	}
}

func (c *client) event(body []byte) {
	var args []json.RawMessage
	var name, last string
	if json.Unmarshal(body, &args) != nil || len(args) < 2 || json.Unmarshal(args[0], &name) != nil {
		c.stage.fail("client", "event %s", body)
		return
	}
	if json.Unmarshal(args[len(args)-1], &last) == nil {
		c.last = []byte(last)
	}
	if err := c.view.take(name, args[1]); err != nil {
		c.stage.fail(name, "way %d, recovered: %v, %v", c.way, c.recovered, err)
	}
}

// look asks the view something.
func (c *client) look(ask func(v *view)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ask(&c.view)
}

func (c *client) room() (id string) {
	c.look(func(v *view) { id = v.room })
	return id
}
