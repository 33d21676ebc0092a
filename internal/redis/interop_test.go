package redis

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

// Every operation, between this program and servers of the JavaScript
// implementation with their two Redis clients, in both directions.
func TestNode(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		for _, library := range []string{"redis", "ioredis"} {
			t.Run(library, func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t, redistest.Options{})
				node := startPeer(t, s, adapter, library)
				a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
				w := &world{t: t, adapter: adapter, node: node, a: a, b: b, server: s}
				w.await()
				w.broadcasts()
				w.rooms()
				w.queries()
				w.acks()
				w.serverSide()
				w.fromNode()
				if adapter == Classic {
					w.emitter()
				}
				if adapter == Streams {
					w.recovery()
				}
			})
		}
	})
}

// A world is a cluster of a server of theirs and two of ours.
type world struct {
	t       *testing.T
	adapter string
	node    *peer
	a, b    *member
	server  *redistest.Server
	ids     map[string]string // sessions at the peer
}

// await waits until all know of each other, and lets clients connect to the
// peer.
func (w *world) await() {
	w.t.Helper()
	w.a.await("three servers", func() bool {
		n, err := w.a.Servers(w.t.Context(), "/")
		return err == nil && n == 3
	})
	if got := w.node.eval(`return io.of("/").adapter.serverCount()`); got != "3" {
		w.t.Errorf("the peer counts %s servers", got)
	}
	w.ids = map[string]string{}
	for name, rooms := range map[string]string{"x": `["red"]`, "y": `["red","blue"]`} {
		var id string
		if err := json.Unmarshal([]byte(w.node.eval(fmt.Sprintf(`return dial(%q, %s)`, name, rooms))), &id); err != nil {
			w.t.Fatal(err)
		}
		w.ids[name] = id
	}
	if w.adapter == Sharded {
		w.a.await("the channel of the room", func() bool {
			n, _ := w.a.link.Load().count(w.t.Context(), channel{how: ssubscribe, name: "socket.io#/#red#"})
			return n == 1
		})
	}
}

func (w *world) publish(m cluster.Message) {
	if m.Namespace == "" {
		m.Namespace = "/"
	}
	w.a.Publish(&m)
}

func packetOf(args string, attachments ...[]byte) cluster.Packet {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(args), &list); err != nil {
		panic(err)
	}
	return cluster.Packet{Args: list, Attachments: attachments}
}

// heard is what a client of the peer tells. With recovery events have an offset
// behind them, which is left out here.
func (w *world) heard(lines ...string) {
	w.t.Helper()
	if w.adapter == Streams {
		w.node.await(len(lines))
		w.node.mu.Lock()
		for i, e := range w.node.events {
			w.node.events[i] = w.node.withoutOffsets(e)
		}
		w.node.mu.Unlock()
	}
	w.node.expect(lines...)
}

func (w *world) broadcasts() {
	w.publish(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e",{"n":[1,-2,1.5,null,true,"é"]}]`), Position: cluster.Position{Epoch: "e", Offset: 2, Prev: 1}})
	w.heard(`["client","x","e",{"n":[1,-2,1.5,null,true,"é"]}]`, `["client","y","e",{"n":[1,-2,1.5,null,true,"é"]}]`)
	w.publish(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["b",{"_placeholder":true,"num":0}]`, []byte{1, 2}), Target: cluster.Target{Rooms: []string{"red"}}})
	w.heard(`["client","x","b",{"type":"Buffer","data":[1,2]}]`, `["client","y","b",{"type":"Buffer","data":[1,2]}]`)
	w.publish(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e",1]`), Target: cluster.Target{Rooms: []string{"red", "green"}, Except: []string{"blue"}}})
	w.heard(`["client","x","e",1]`)
	w.publish(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e"]`), Target: cluster.Target{Rooms: []string{w.ids["y"]}}, Volatile: true})
	w.heard(`["client","y","e"]`)
	w.publish(cluster.Message{Kind: cluster.Broadcast, Namespace: "/other", Packet: packetOf(`["e"]`)})
	w.a.Send(cluster.Note{Topic: "topic", Data: []byte("x")})
	w.heard()
}

func (w *world) rooms() {
	w.publish(cluster.Message{Kind: cluster.Join, Target: cluster.Target{Rooms: []string{"red"}, Except: []string{"blue"}}, Rooms: []string{"new", "newer"}})
	w.publish(cluster.Message{Kind: cluster.Leave, Target: cluster.Target{Rooms: []string{"new"}}, Rooms: []string{"red"}})
	want := fmt.Sprintf(`["%s","new","newer"]`, w.ids["x"])
	w.a.await("the rooms", func() bool {
		return w.node.eval(`return [...io.of("/").sockets.get("`+w.ids["x"]+`")?.rooms ?? []]`) == want
	})
	w.publish(cluster.Message{Kind: cluster.Join, Target: cluster.Target{Rooms: []string{"new"}}, Rooms: []string{"red"}})
}

// response waits for the next response to a.
func (w *world) response() *cluster.Response {
	w.t.Helper()
	w.a.await("a response", func() bool { w.a.mu.Lock(); defer w.a.mu.Unlock(); return len(w.a.responses) > 0 })
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	r := w.a.responses[0]
	w.a.responses = w.a.responses[1:]
	return r
}

func (w *world) queries() {
	w.publish(cluster.Message{Kind: cluster.FetchSockets, Target: cluster.Target{Rooms: []string{"blue"}}, RequestID: "f"})
	r := w.response()
	if len(r.Sockets) != 1 || r.RequestID != "f" {
		w.t.Fatalf("%+v", r)
	}
	s := r.Sockets[0]
	var handshake struct{ Auth struct{ Name string } }
	if err := json.Unmarshal(s.Handshake, &handshake); err != nil || handshake.Auth.Name != "y" {
		w.t.Errorf("%s %v", s.Handshake, err)
	}
	if s.ID != w.ids["y"] || !slices.Contains(s.Rooms, "blue") || string(s.Data) != `{"name":"y"}` {
		w.t.Errorf("%+v", s)
	}
	if w.adapter != Classic {
		return
	}
	w.publish(cluster.Message{Kind: cluster.ListRooms, RequestID: "r"})
	if r := w.response(); !slices.Contains(r.Rooms, "blue") {
		w.t.Errorf("%+v", r)
	}
	w.publish(cluster.Message{Kind: cluster.ListSockets, Target: cluster.Target{Rooms: []string{"blue"}}, RequestID: "s"})
	if r := w.response(); !slices.Equal(r.Rooms, []string{w.ids["y"]}) {
		w.t.Errorf("%+v", r)
	}
}

// acks shows what the peer makes of acks with one, none, several and binary
// arguments: the first.
func (w *world) acks() {
	for answer, want := range map[string]cluster.Response{
		`["one"]`:                 {Ack: json.RawMessage(`"one"`)},
		`[]`:                      {Ack: json.RawMessage(`null`)},
		`["first", "second"]`:     {Ack: json.RawMessage(`"first"`)},
		`[new Uint8Array([7])]`:   {Ack: json.RawMessage(`{"_placeholder":true,"num":0}`), Parts: [][]byte{{7}}},
		`[{a: new Date(1000)}]`:   {Ack: json.RawMessage(`{"a":"1970-01-01T00:00:01.000Z"}`)},
		`[[1, 2], "not this"]`:    {Ack: json.RawMessage(`[1,2]`)},
		`[undefined, "nor that"]`: {Ack: json.RawMessage(`null`)},
	} {
		w.node.eval(`clients.x.answer = ` + answer)
		w.publish(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["q",1]`), Target: cluster.Target{Rooms: []string{w.ids["x"]}}, RequestID: "a", Timeout: time.Second})
		if r := w.response(); r.Acked || r.Clients != 1 || r.RequestID != "a" {
			w.t.Errorf("%+v", r)
		}
		want.Acked, want.RequestID = true, "a"
		if r := w.response(); !reflect.DeepEqual(*r, want) && !(len(r.Parts) == 0 && len(want.Parts) == 0 && string(r.Ack) == string(want.Ack)) {
			w.t.Errorf("%s: %+v %s", answer, r, r.Ack)
		}
		w.heard(`["client","x","q",1]`)
	}
}

func (w *world) serverSide() {
	w.publish(cluster.Message{Kind: cluster.ServerSideEmit, Packet: packetOf(`["ask",{"a":1}]`)})
	w.node.expect(`["ask","/",{"a":1}]`)
	w.publish(cluster.Message{Kind: cluster.ServerSideEmit, Packet: packetOf(`["ask",2]`), RequestID: "q"})
	w.node.expect(`["ask","/",2]`)
	if r := w.response(); !r.Acked || string(r.Ack) != `{"answer":2}` {
		w.t.Errorf("%+v %s", r, r.Ack)
	}
	w.publish(cluster.Message{Kind: cluster.ServerSideEmit, Packet: packetOf(`["ask",{"_placeholder":true,"num":0}]`, []byte{9})})
	w.node.expect(`["ask","/",{"type":"Buffer","data":[9]}]`)
}

// next waits for the next message at both of ours, and compares all but where
// it is from.
func (w *world) next(want cluster.Message) *cluster.Message {
	w.t.Helper()
	var at *cluster.Message
	for _, m := range []*member{w.b, w.a} {
		m.await("a message", func() bool { return len(m.got()) > 0 })
		at = m.got()[0]
		m.mu.Lock()
		m.messages = m.messages[1:]
		m.mu.Unlock()
		got := *at
		if w.adapter == Streams && !ephemeral(at) && at.ID.IsZero() {
			w.t.Errorf("%+v has no ID", at)
		}
		got.ID, got.From, got.RequestID = cluster.ID{}, "", ""
		want.Namespace = "/"
		if !reflect.DeepEqual(clean(&got), clean(&want)) {
			w.t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	return at
}

func (w *world) forget() {
	w.a.forget()
	w.b.forget()
}

func (w *world) fromNode() {
	node := w.node
	w.forget() // with streams the sender hears itself
	for _, m := range []*member{w.a, w.b} {
		m.Enter("/", "red")
	}
	if w.adapter == Sharded {
		w.a.await("the channel of the room", func() bool {
			n, _ := w.a.link.Load().count(w.t.Context(), channel{how: ssubscribe, name: "socket.io#/#red#"})
			return n == 3
		})
	}
	node.eval(`io.emit("e", {n: [1, -2, 1.5, null, "é"]}, new Date(1000))`)
	w.next(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e",{"n":[1,-2,1.5,null,"é"]},"1970-01-01T00:00:01.000Z"]`)})
	node.eval(`io.to("red").emit("e", Buffer.from([1, 2]))`)
	w.next(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e",{"_placeholder":true,"num":0}]`, []byte{1, 2}), Target: cluster.Target{Rooms: []string{"red"}}})
	node.eval(`io.to(["red", "blue"]).except("green").volatile.emit("e")`)
	w.next(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e"]`), Target: cluster.Target{Rooms: []string{"red", "blue"}, Except: []string{"green"}}, Volatile: true})
	node.eval(`io.in("red").socketsJoin(["n", "m"]); io.in("red").socketsLeave("n"); io.in("none").disconnectSockets(true)`)
	w.next(cluster.Message{Kind: cluster.Join, Target: cluster.Target{Rooms: []string{"red"}}, Rooms: []string{"n", "m"}})
	w.next(cluster.Message{Kind: cluster.Leave, Target: cluster.Target{Rooms: []string{"red"}}, Rooms: []string{"n"}})
	w.next(cluster.Message{Kind: cluster.Disconnect, Target: cluster.Target{Rooms: []string{"none"}}, Close: true})
	node.eval(`io.local.emit("l")`)
	node.eval(`io.serverSideEmit("tell", 1)`)
	w.next(cluster.Message{Kind: cluster.ServerSideEmit, Packet: packetOf(`["tell",1]`)})

	asked := node.begin(`return io.serverSideEmitWithAck("what", {a: 1})`)
	w.answer(w.next(cluster.Message{Kind: cluster.ServerSideEmit, Packet: packetOf(`["what",{"a":1}]`)}),
		&cluster.Response{Acked: true, Ack: json.RawMessage(`{"b":2}`)})
	if got := node.result(asked); got != `[{"b":2},{"b":2}]` {
		w.t.Errorf("acks %s", got)
	}
	fetched := node.begin(`return (await io.in("red").fetchSockets()).map((s) => [s.id, [...s.rooms], s.handshake.auth, s.data])`)
	w.answer(w.next(cluster.Message{Kind: cluster.FetchSockets, Target: cluster.Target{Rooms: []string{"red"}}}),
		&cluster.Response{Sockets: []cluster.Socket{{ID: "ours", Handshake: json.RawMessage(`{"auth":{"k":"v"}}`), Rooms: []string{"ours", "red"}, Data: json.RawMessage(`{"d":1}`)}}})
	if got := node.result(fetched); strings.Count(got, `["ours",["ours","red"],{"k":"v"},{"d":1}]`) != 2 || strings.Count(got, `"name":"y"`) != 2 {
		w.t.Errorf("sockets %s", got)
	}
	acked := node.begin(`clients.x.answer = clients.y.answer = ["js"]; return (await io.timeout(2000).emitWithAck("q", 1)).sort()`)
	w.answer(w.next(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["q",1]`), Timeout: 2 * time.Second}),
		&cluster.Response{Clients: 1}, &cluster.Response{Acked: true, Ack: json.RawMessage(`"go"`)})
	if got := node.result(acked); got != `["go","go","js","js"]` {
		w.t.Errorf("acks %s", got)
	}
	if w.adapter == Classic {
		listed := node.begin(`return [...await io.of("/").adapter.allRooms()]`)
		w.answer(w.next(cluster.Message{Kind: cluster.ListRooms}), &cluster.Response{Rooms: []string{"in go"}})
		if got := node.result(listed); !strings.Contains(got, `"in go"`) || !strings.Contains(got, `"blue"`) {
			w.t.Errorf("rooms %s", got)
		}
	}
	node.mu.Lock()
	node.events = nil
	node.mu.Unlock()
}

// answer lets both of ours answer.
func (w *world) answer(to *cluster.Message, responses ...*cluster.Response) {
	if to.RequestID == "" {
		w.t.Errorf("%+v wants no answer", to)
	}
	for _, r := range responses {
		w.a.Bus.Respond(to, r)
		w.b.Bus.Respond(to, r)
	}
}

// emitter is @socket.io/redis-emitter.
func (w *world) emitter() {
	w.forget()
	w.node.eval(`emitter.to("red").except("blue").emit("e", {a: [1, Buffer.from([3])]})`)
	m := w.next(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e",{"a":[1,{"_placeholder":true,"num":0}]}]`, []byte{3}), Target: cluster.Target{Rooms: []string{"red"}, Except: []string{"blue"}}})
	if m.From != "emitter" {
		w.t.Errorf("from %q", m.From)
	}
	w.node.eval(`emitter.volatile.emit("e")`)
	w.next(cluster.Message{Kind: cluster.Broadcast, Packet: packetOf(`["e"]`), Volatile: true})
	w.node.eval(`emitter.in("red").socketsJoin("j"); emitter.in("red").socketsLeave(["j", "k"]); emitter.in("none").disconnectSockets(); emitter.serverSideEmit("s", 1)`)
	w.next(cluster.Message{Kind: cluster.Join, Target: cluster.Target{Rooms: []string{"red"}}, Rooms: []string{"j"}})
	w.next(cluster.Message{Kind: cluster.Leave, Target: cluster.Target{Rooms: []string{"red"}}, Rooms: []string{"j", "k"}})
	w.next(cluster.Message{Kind: cluster.Disconnect, Target: cluster.Target{Rooms: []string{"none"}}})
	w.next(cluster.Message{Kind: cluster.ServerSideEmit, Packet: packetOf(`["s",1]`)})
}

// recovery: a session that one of theirs saved is taken by ours, and the other
// way round, with what was missed.
func (w *world) recovery() {
	w.forget()
	ctx := w.t.Context()
	w.node.eval(`await dial("z", ["red"])`)
	w.a.Publish(say("seen"))
	w.a.awaitTexts([]string{"seen"})
	seen := w.a.got()[0].ID
	pid := strings.Trim(w.node.eval(`const s = [...io.of("/").sockets.values()].find((s) => s.data.name === "z"); s.conn.transport.close(); return s.pid`), `"`)
	var saved *cluster.SavedSession
	w.a.await("the session", func() (ok bool) {
		var err error
		saved, err = w.a.Take(ctx, pid)
		return err == nil && saved != nil
	})
	if !slices.Contains(saved.Rooms, "red") || string(saved.Data) != `{"name":"z"}` || saved.PID != pid || saved.Private != nil {
		w.t.Errorf("%+v", saved)
	}
	if again, err := w.b.Take(ctx, pid); again != nil || err != nil {
		w.t.Errorf("taken twice: %+v %v", again, err)
	}
	m := say("missed")
	m.Target.Rooms = []string{"red"}
	w.a.Publish(m)
	w.a.awaitTexts([]string{"seen", "missed"})
	own := &cluster.SavedSession{ID: "sid", PID: "secret", Rooms: []string{"sid", "red"}, Data: json.RawMessage(`{"k":[1]}`), Private: []byte{0, 255}}
	if err := w.a.Save(ctx, own, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	got := w.node.eval(fmt.Sprintf(`const s = await io.of("/").adapter.restoreSession("secret", %q); return [s.sid, s.rooms, s.data, s.missedPackets]`, seen.String()))
	if want := fmt.Sprintf(`["sid",["sid","red"],{"k":[1]},[["e","missed",%q]]]`, w.a.got()[1].ID.String()); got != want {
		w.t.Errorf("restored %s, want %s", got, want)
	}
	if err := w.b.Save(ctx, own, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	if back, err := w.a.Take(ctx, "secret"); err != nil || !reflect.DeepEqual(back, own) {
		w.t.Errorf("%+v %v", back, err)
	}
	w.node.eval(`io.to("red").emit("js", Buffer.from([1]))`)
	w.a.await("it", func() bool { return len(w.a.got()) == 3 })
	missed, complete, err := w.b.Since(ctx, "/", seen)
	if err != nil || !complete || !reflect.DeepEqual(missed[1], w.b.got()[2]) || len(missed) != 2 || missed[0].From != w.a.Self() {
		w.t.Errorf("%+v %v %v", missed, complete, err)
	}
	if _, complete, err := w.b.Since(ctx, "/", cluster.ID{Ms: 1}); complete || err != nil {
		w.t.Errorf("complete from an ID that is not there: %v", err)
	}
}
