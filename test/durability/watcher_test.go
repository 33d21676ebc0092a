package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A watcher is a Socket.IO client that follows runs, loses its connection and
// comes back. It recovers its session as clients do from 4.6 on, or joins again
// with what it has.
type watcher struct {
	stage    *stage
	url      int // of the next connection, an index
	recovers bool
	rng      *rand.Rand

	mu      sync.Mutex
	conn    *websocket.Client // nil while it is away
	inside  bool              // CONNECT was answered
	pid     string
	last    []byte   // the last argument of the last event that ended with a string
	early   [][]byte // events before CONNECT was answered
	calls   int
	waiting map[int]*follow    // for acknowledgements, by their number
	runs    map[string]*follow // by the id of the run
	widgets map[string]*follow
	all     []*follow
}

func newWatcher(s *stage, i int, recovers bool, seed uint64) *watcher {
	return &watcher{
		stage: s, url: i, recovers: recovers, rng: rand.New(rand.NewPCG(seed, uint64(i))),
		waiting: map[int]*follow{}, runs: map[string]*follow{}, widgets: map[string]*follow{},
	}
}

// follow adds a run, and asks for it if the watcher is there.
func (w *watcher) follow(f *follow) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, f)
	if f.widgetID != "" {
		w.widgets[f.widgetID] = f
	} else {
		w.runs[f.runID] = f
	}
	if w.inside {
		w.ask(f)
	}
}

// live connects and comes back until ctx ends.
func (w *watcher) live(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.visit(ctx)
		if err != nil && ctx.Err() == nil {
			w.stage.fail("client", "%v", err)
			return
		}
		pause(ctx, time.Duration(10+w.rng.IntN(60))*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// visit is one connection, from its beginning to its end. Its error is one that
// the server must not cause.
func (w *watcher) visit(ctx context.Context) error {
	url := w.stage.URLs()[w.url%len(w.stage.URLs())]
	w.url++
	opening, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(opening, url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return nil // nobody is there
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if w.rng.IntN(3) == 0 && !w.stage.calm.Load() {
		cut := time.AfterFunc(time.Duration(50+w.rng.IntN(500))*time.Millisecond, func() { w.cut(conn) })
		defer cut.Stop()
	}
	defer w.leave(conn)
	for {
		op, b, err := conn.ReadMessage()
		if err != nil {
			return nil
		}
		if op != websocket.OpText {
			continue
		}
		if done, err := w.packet(conn, b); done || err != nil {
			return err
		}
	}
}

// cut ends a connection as a network that fails.
func (w *watcher) cut(conn *websocket.Client) {
	w.stage.cuts.Add(1)
	conn.Abort()
}

func (w *watcher) leave(conn *websocket.Client) {
	conn.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.inside, w.early = nil, false, nil
	clear(w.waiting)
}

// packet handles one of Engine.IO.
func (w *watcher) packet(conn *websocket.Client, b []byte) (done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	switch {
	case len(b) == 0:
		return false, nil
	case b[0] == '0':
		w.write(w.connectPacket())
	case b[0] == '2':
		w.write([]byte("3"))
	case b[0] == '1':
		return true, nil
	case len(b) > 1 && b[0] == '4':
		return w.message(b[1], b[2:])
	}
	return false, nil
}

// write sends a packet. If that fails, so does reading.
func (w *watcher) write(b []byte) { w.conn.WriteMessage(websocket.OpText, b) }

func (w *watcher) connectPacket() []byte {
	auth := map[string]string{"token": w.stage.Token}
	if w.pid != "" {
		auth["pid"] = w.pid
		if w.last != nil {
			auth["offset"] = string(w.last)
		}
	}
	raw, _ := json.Marshal(auth) // of strings
	return append([]byte("40"), raw...)
}

// message handles one of Socket.IO.
func (w *watcher) message(typ byte, body []byte) (done bool, err error) {
	switch typ {
	case '0':
		return false, w.connected(body)
	case '1':
		return true, nil
	case '2':
		if !w.inside {
			w.early = append(w.early, bytes.Clone(body))
			return false, nil
		}
		w.event(body)
	case '3':
		w.acked(body)
	case '4':
		if w.stage.calm.Load() {
			return true, fmt.Errorf("it was refused: %s", body)
		}
		return true, nil // as by an instance that is ending
	}
	return false, nil
}

func (w *watcher) connected(body []byte) error {
	var answer struct{ PID string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("answer to CONNECT %s: %w", body, err)
	}
	recovered := answer.PID != "" && answer.PID == w.pid
	if recovered {
		w.stage.recovered.Add(1)
	}
	w.stage.visits.Add(1)
	if w.recovers {
		w.pid = answer.PID
	}
	w.inside = true
	for _, e := range w.early {
		w.event(e)
	}
	w.early = nil
	for _, f := range w.all {
		if !f.done() && !(recovered && f.acked) {
			w.ask(f)
		}
	}
	return nil
}

// ask joins a run, or connects a widget, from where it stands.
func (w *watcher) ask(f *follow) {
	f.acked = false
	w.calls++
	w.waiting[w.calls] = f
	name, payload := f.request(w.stage.epoch())
	raw, _ := json.Marshal([]any{name, payload}) // of texts and numbers
	w.write(append([]byte("42"+strconv.Itoa(w.calls)), raw...))
}

func (w *watcher) acked(body []byte) {
	at := bytes.IndexByte(body, '[')
	if at < 0 {
		return
	}
	n, _ := strconv.Atoi(string(body[:at]))
	f := w.waiting[n]
	delete(w.waiting, n)
	var acks []struct {
		OK                *bool
		Epoch, InstanceID string
		Error             struct{ Code, Message string }
	}
	if f == nil || json.Unmarshal(body[at:], &acks) != nil || len(acks) == 0 {
		return
	}
	ack := acks[0]
	if ack.OK != nil && !*ack.OK {
		w.refused(f, ack.Error.Code, ack.Error.Message)
		return
	}
	f.acked = true
	w.stage.learn(ack.Epoch)
	if f.runID == "" {
		f.runID = ack.InstanceID
		w.runs[f.runID] = f
	}
	f.run.known(f.runID)
}

// refused asks again later for what the server did not have the time for.
func (w *watcher) refused(f *follow, code, message string) {
	switch code {
	case "TIMEOUT", "CONFLICT", "INTERNAL", "INTERNAL_ERROR", "CONNECTION_FAILED":
	default:
		w.stage.fail("refused", "%s %s: %s %s", f.widgetID, f.runID, code, message)
		return
	}
	conn := w.conn
	time.AfterFunc(50*time.Millisecond, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.inside && w.conn == conn {
			w.ask(f)
		}
	})
}

// news is what all events about runs have together.
type news struct {
	InstanceID, WidgetID, NodeID, Status string
	CollectionRequestID                  string
	Offset                               uint64
	Update                               struct{ NodeID, Status string }
}

func (w *watcher) event(body []byte) {
	var args []json.RawMessage
	if json.Unmarshal(body, &args) != nil || len(args) == 0 {
		w.stage.fail("client", "event %s", body)
		return
	}
	var last string
	if len(args) > 1 && json.Unmarshal(args[len(args)-1], &last) == nil {
		w.last = []byte(last)
	}
	var name string
	var n news
	json.Unmarshal(args[0], &name)
	if len(args) > 1 {
		json.Unmarshal(args[1], &n) // those that have none of it are not looked at
	}
	switch name {
	case "workflow_node_update":
		w.entry(n, n.NodeID+" "+n.Status)
	case "workflow_status_update":
		w.entry(n, n.Status)
	case "workflow_data_collection_request":
		w.entry(n, "")
		w.stage.asked(n.InstanceID, n.CollectionRequestID)
	case "widget_workflow_connected":
		w.shown(n, func(f *follow) {
			f.begin(n.InstanceID)
			w.runs[n.InstanceID] = f
			f.run.known(n.InstanceID)
		})
	case "widget_context_update":
		w.shown(n, func(f *follow) { f.show(n.Update.NodeID + " " + n.Update.Status) })
	case "widget_workflow_status":
		w.shown(n, func(f *follow) { f.show(n.Status) })
	case "gap", "widget_workflow_disconnected":
		w.stage.fail(name, "%s", body)
	}
}

// entry takes an event of a run's room. what is "" for requests, which widgets
// do not hear of.
func (w *watcher) entry(n news, what string) {
	f := w.runs[n.InstanceID]
	if f == nil {
		w.stage.fail("foreign", "an update of run %s, which is not followed: %+v", n.InstanceID, n)
		return
	}
	f.got = append(f.got, update{n.Offset, what})
	if what == n.Status && what != "" {
		f.run.end()
	}
}

func (w *watcher) shown(n news, take func(*follow)) {
	if f := w.widgets[n.WidgetID]; f != nil {
		take(f)
	} else {
		w.stage.fail("foreign", "an update of widget %s, which is not this client's", n.WidgetID)
	}
}
