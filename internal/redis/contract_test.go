package redis

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

func TestMessages(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
		b.Enter("/other", "room")
		if adapter == Sharded {
			b.await("the room", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.entered) == 1 })
		}
		packet := cluster.Packet{Args: []json.RawMessage{json.RawMessage(`"event"`), json.RawMessage(`{"a":[1,1.5,null,"é\n"]}`)}}
		binary := cluster.Packet{Args: []json.RawMessage{json.RawMessage(`"event"`), json.RawMessage(`{"_placeholder":true,"num":0}`)}, Attachments: [][]byte{{0, 1, 255}}}
		position := cluster.Position{Epoch: "e:1", Offset: 7, Prev: 5}
		two := cluster.Target{Rooms: []string{"x", "y"}, Except: []string{"z"}}
		sent := []*cluster.Message{
			{Kind: cluster.Broadcast, Namespace: "/", Packet: packet},
			{Kind: cluster.Broadcast, Namespace: "/", Packet: binary, Target: two, Position: position},
			{Kind: cluster.Broadcast, Namespace: "/other", Packet: packet, Target: cluster.Target{Rooms: []string{"room"}}, Position: position},
			{Kind: cluster.Broadcast, Namespace: "/", Packet: packet, Volatile: true},
			{Kind: cluster.Broadcast, Namespace: "/", Packet: binary, Target: two, RequestID: "r", Timeout: 1500 * time.Millisecond},
			{Kind: cluster.Join, Namespace: "/", Target: two, Rooms: []string{"n"}},
			{Kind: cluster.Leave, Namespace: "/", Target: cluster.Target{Rooms: []string{"sid"}}, Rooms: []string{"n", "m"}},
			{Kind: cluster.Disconnect, Namespace: "/", Target: two, Close: true},
			{Kind: cluster.FetchSockets, Namespace: "/", Target: two, RequestID: "r"},
			{Kind: cluster.ServerSideEmit, Namespace: "/", Packet: packet},
			{Kind: cluster.ServerSideEmit, Namespace: "/", Packet: binary, RequestID: "r"},
		}
		if adapter == Classic {
			sent = append(sent,
				&cluster.Message{Kind: cluster.ListRooms, Namespace: "/", RequestID: "r"},
				&cluster.Message{Kind: cluster.ListSockets, Namespace: "/", Target: cluster.Target{Rooms: []string{"x"}}, RequestID: "r"})
		}
		for _, m := range sent {
			a.Publish(m)
			b.await("a message", func() bool { return len(b.got()) > 0 })
			got := *b.got()[0]
			if (got.ID == cluster.ID{}) == (adapter == Streams && !ephemeral(m)) {
				t.Errorf("%+v has the ID %v", m, got.ID)
			}
			want := *m
			want.From, got.ID = a.Self(), cluster.ID{}
			if clean(&got); !reflect.DeepEqual(clean(&got), clean(&want)) {
				t.Errorf("sent %+v\ngot  %+v", want, got)
			}
			b.forget()
		}
		if n, err := a.Servers(t.Context(), "/"); n != 2 || err != nil {
			t.Errorf("%d servers, %v", n, err)
		}
	})
}

// clean makes empty lists nil.
func clean(m *cluster.Message) *cluster.Message {
	for _, list := range []*[]string{&m.Target.Rooms, &m.Target.Except, &m.Rooms} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if m.Packet.Attachments == nil {
		m.Packet.Attachments = [][]byte{}
	}
	return m
}

func TestResponses(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		a, b, c := join(t, settings(s, adapter)), join(t, settings(s, adapter)), join(t, settings(s, adapter))
		sockets := []cluster.Socket{{ID: "s", Handshake: json.RawMessage(`{"auth":{}}`), Rooms: []string{"s", "r"}, Data: json.RawMessage(`{"n":1}`)}}
		kinds := []struct {
			kind      cluster.Kind
			responses []cluster.Response
		}{
			{cluster.FetchSockets, []cluster.Response{{Sockets: sockets}}},
			{cluster.ServerSideEmit, []cluster.Response{{Acked: true, Ack: json.RawMessage(`{"a":1}`)}}},
			{cluster.Broadcast, []cluster.Response{{Clients: 2}, {Acked: true, Ack: json.RawMessage(`[1,"x"]`)}, {Acked: true, Ack: json.RawMessage(`null`)}, {Acked: true, Ack: json.RawMessage(`{"_placeholder":true,"num":0}`), Parts: [][]byte{{1, 2}}}}},
		}
		if adapter == Classic {
			kinds = append(kinds, struct {
				kind      cluster.Kind
				responses []cluster.Response
			}{cluster.ListRooms, []cluster.Response{{Rooms: []string{"x"}}}}, struct {
				kind      cluster.Kind
				responses []cluster.Response
			}{cluster.ListSockets, []cluster.Response{{Rooms: []string{"s"}}}})
		}
		for _, k := range kinds {
			b.mu.Lock()
			b.answer = func(m *cluster.Message) {
				for _, r := range k.responses {
					b.Bus.Respond(m, &r)
				}
			}
			b.mu.Unlock()
			m := say("x")
			m.Kind, m.RequestID, m.Timeout = k.kind, "id of "+k.responses[0].RequestID, time.Second
			a.Publish(m)
			for i, want := range k.responses {
				want.RequestID = m.RequestID
				a.await("a response", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.responses) > i })
				a.mu.Lock()
				if got := *a.responses[i]; !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, want %+v", got, want)
				}
				a.mu.Unlock()
			}
			a.forget()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.responses) > 0 {
			t.Errorf("responses reached who did not ask: %+v", c.responses)
		}
	})
}

// Nothing is lost, doubled or overtaken; on a stream all agree.
func TestOrder(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		members := []*member{join(t, settings(s, adapter)), join(t, settings(s, adapter)), join(t, settings(s, adapter))}
		const n = 1500
		for i, m := range members[:2] {
			go m.sayAll(count(string(rune('a'+i)), 0, n))
		}
		for i, m := range members {
			want := 2 * n
			if i < 2 && !m.Ordered() {
				want = n
			}
			m.await("all events", func() bool { return len(m.got()) >= want })
			for _, prefix := range []string{"a", "b"} {
				mine := slices.DeleteFunc(texts(m.got()), func(s string) bool { return !strings.HasPrefix(s, prefix) })
				if own := i < 2 && prefix == string(rune('a'+i)); own && !m.Ordered() {
					if len(mine) > 0 {
						t.Errorf("%d got what it said itself", i)
					}
				} else if !slices.Equal(mine, count(prefix, 0, n)) {
					t.Errorf("%d heard of %s: %s", i, prefix, part(mine, count(prefix, 0, n)))
				}
			}
			if m.Ordered() {
				m.ascends()
				if !slices.Equal(texts(m.got()), texts(members[0].got())) {
					t.Error("they do not agree")
				}
			}
			if s := m.Status(); s.Lost != 0 || m.Counters() != (Counters{}) {
				t.Errorf("%+v %+v", s, m.Counters())
			}
		}
	})
}

// ascends checks the IDs; echoes have none.
func (m *member) ascends() {
	m.t.Helper()
	var last cluster.ID
	for _, msg := range m.got() {
		if !msg.ID.IsZero() {
			if msg.ID.Compare(last) <= 0 {
				m.t.Errorf("%v after %v", msg.ID, last)
			}
			last = msg.ID
		}
	}
}

func TestNotes(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		a, b, c := join(t, settings(s, adapter)), join(t, settings(s, adapter)), join(t, settings(s, adapter))
		a.Send(cluster.Note{Topic: "other", Data: []byte("x")})
		a.Send(cluster.Note{Topic: "topic", Data: []byte{1, 0, 255}})
		a.Send(cluster.Note{Topic: "topic", To: b.Self(), Data: []byte("b")})
		a.Send(cluster.Note{Topic: "topic", To: a.Self(), Data: []byte("a")})
		a.Send(cluster.Note{Topic: "topic"})
		want := map[*member][]cluster.Note{
			a: {{Topic: "topic", From: a.Self(), To: a.Self(), Data: []byte("a")}},
			b: {{Topic: "topic", From: a.Self(), Data: []byte{1, 0, 255}}, {Topic: "topic", From: a.Self(), To: b.Self(), Data: []byte("b")}, {Topic: "topic", From: a.Self()}},
			c: {{Topic: "topic", From: a.Self(), Data: []byte{1, 0, 255}}, {Topic: "topic", From: a.Self()}},
		}
		for m, notes := range want {
			m.await("notes", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.notes) >= len(notes) })
			m.mu.Lock()
			if !reflect.DeepEqual(m.notes, notes) {
				t.Errorf("got %+v, want %+v", m.notes, notes)
			}
			m.mu.Unlock()
		}
	})
}
