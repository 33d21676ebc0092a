package leaks

import (
	"errors"
	"sync/atomic"

	"github.com/roomcast/roomcast/internal/websocket"
)

// pong is the opcode.
const pong = 0xA

// stages are how far clients come that abort.
var stages = []struct {
	name string
	run  func(w *wire) error
}{
	{"before a word", func(*wire) error { return nil }},
	{"half a request", func(w *wire) error { return w.say("GET /socket.io/?EIO=4&tran") }},
	{"without the answer", func(w *wire) error { return w.ask("GET", "transport=websocket", wsHeader, "") }},
	{"after the 101", func(w *wire) error { return w.upgrade("") }},
	{"half a frame", func(w *wire) error { return errors.Join(w.upgrade(""), w.say("\x81\xfe\x01\x00\x00\x00\x00\x00half")) }},
	{"CONNECT sent", (*wire).connect},
	{"CONNECT answered", func(w *wire) error { return errors.Join(w.connect(), w.expect("40")) }},
	{"join sent", func(w *wire) error { return errors.Join(w.connect(), w.join()) }},
	{"in a room", (*wire).enter},
	{"an attachment is missing", func(w *wire) error { return errors.Join(w.enter(), w.send(`451-["x",{"_placeholder":true,"num":0}]`)) }},
	{"polling, without the answer", func(w *wire) error { return w.ask("GET", "transport=polling", "", "") }},
	{"polling, after the handshake", func(w *wire) error { _, err := w.openPolling(); return err }},
	{"polling, in a GET", func(w *wire) error {
		query, err := w.openPolling()
		return errors.Join(err, w.ask("GET", "transport=polling"+query, "", ""))
	}},
	{"polling, half a POST", func(w *wire) error {
		query, err := w.openPolling()
		return errors.Join(err, w.ask("POST", "transport=polling"+query, "Content-Length: 100\r\n", "40"))
	}},
	{"probing", func(w *wire) error { return w.probe("") }},
	{"upgraded", func(w *wire) error { return w.probe("5") }},
	{"plain, without the answer", func(w *wire) error { return w.get("/ws", wsHeader) }},
	{"plain, after the 101", func(w *wire) error { return w.plain("/ws") }},
	{"plain, half a frame", func(w *wire) error { return errors.Join(w.plain("/ws"), w.say("\x81\xfe\x01\x00\x00\x00\x00\x00half")) }},
	{"plain, before the dialect", func(w *wire) error {
		return errors.Join(w.plain("/ws"), w.send("no JSON"), w.expect(`{"type":"error"`))
	}},
	{"genesis, subscribing", func(w *wire) error {
		return errors.Join(w.plain("/ws/genesis"), w.send(`{"type":"subscribe","payload":{"channels":["sync:ada","agent:a"]}}`))
	}},
	{"bots, in a session", func(w *wire) error {
		return errors.Join(w.plain("/ws/bots"), w.send(`{"type":"subscribe","session_id":"s"}`), w.send(`{"type":"ping"}`), w.expect(`{"type":"pong"`))
	}},
	{"service, in its rooms", (*wire).serve},
	{"meet, joining", func(w *wire) error {
		return errors.Join(w.plain("/ws/meet/m"), w.send(`{"type":"join","participant_name":"n"}`))
	}},
}

// serve is in the rooms of its user, over a plain WebSocket, when it returns.
func (w *wire) serve() error {
	return errors.Join(w.plain("/ws/service"), w.send(`{"type":"ping","data":{}}`), w.expect(`{"type":"pong"`))
}

// abort runs a stage on a new connection and resets it.
func (s *street) abort(stage func(w *wire) error) error {
	w, err := s.dial()
	if err != nil {
		return err
	}
	defer w.reset()
	return stage(w)
}

// probe begins the upgrade of a polling connection and says one more thing.
func (w *wire) probe(last string) error {
	query, err := w.openPolling()
	if err != nil {
		return err
	}
	return w.s.abort(func(ws *wire) error {
		err := errors.Join(ws.upgrade(query), ws.send("2probe"), ws.expect("3probe"))
		if err != nil || last == "" {
			return err
		}
		return ws.send(last)
	})
}

// resident is a client that is in a room and does nothing but live.
type resident struct {
	*wire
	silent atomic.Bool
}

// settle makes a resident, every third over a plain WebSocket.
func (s *street) settle(i int) error {
	w, err := s.dial()
	if err != nil {
		return err
	}
	enter := w.enter
	if i%3 == 0 {
		enter = w.serve
	}
	if err := enter(); err != nil {
		return err
	}
	r := &resident{wire: w}
	s.mu.Lock()
	s.idle = append(s.idle, r)
	s.mu.Unlock()
	go r.live()
	return nil
}

// live answers heartbeats, until it does not any more.
func (r *resident) live() {
	for {
		packet, err := r.read()
		if err != nil {
			return
		}
		switch {
		case r.silent.Load():
		case packet == "2":
			r.send("3")
		case packet == "": // a ping of WebSocket
			r.Write(websocket.AppendClientFrame(nil, pong, nil))
		}
	}
}

// vanish makes all residents go: every other one breaks its connection, the
// rest fall silent and keep theirs.
func (s *street) vanish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.idle {
		r.silent.Store(true)
		if i%2 == 0 {
			r.reset()
		}
	}
	s.idle = nil
}
