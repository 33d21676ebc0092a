package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
)

// Everything that can be done with sessions can be done with those of another
// server.
func TestOperations(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		net := clustertest.New(ordered)
		a, b := station(t, net.Bus(), Options{}, recoverable()), station(t, net.Bus(), Options{}, recoverable())
		here, _ := a.travel(nil, "ann")
		there, _ := b.travel(nil, "bob")
		both := func(event, value string) {
			t.Helper()
			here.wants(event, value)
			there.wants(event, value)
		}
		emit := func(o Operator, value string) {
			t.Helper()
			if err := o.Emit("news", []json.RawMessage{json.RawMessage(strconv.Quote(value))}, nil); err != nil {
				t.Fatal(err)
			}
		}
		emit(a.srv.In("/"), "all")
		both("news", "all")
		here.join("x")
		there.join("x")
		there.join("y")
		emit(b.srv.In("/", "x"), "room")
		both("news", "room")
		emit(a.srv.In("/", "x", "y"), "rooms")
		both("news", "rooms")
		emit(a.srv.In("/", "x").Except("y"), "except")
		here.wants("news", "except")
		emit(a.srv.In("/", "x").Local(), "local")
		here.wants("news", "local")
		emit(a.srv.In("/", there.sid), "one")
		there.wants("news", "one")
		emit(a.srv.In("/").Volatile(), "volatile")
		here.expect(`42["news","volatile"]`)
		there.expect(`42["news","volatile"]`)
		if err := a.srv.In("/", "x").Emit("file", []json.RawMessage{json.RawMessage(`{"_placeholder":true,"num":0}`)}, [][]byte{{1, 2}}); err != nil {
			t.Error(err)
		}
		for _, c := range []*traveller{here, there} {
			if got := c.read(); !strings.HasPrefix(got, `451-["file",{"_placeholder":true,"num":0},"`) {
				t.Errorf("got %s", got)
			}
			if got := c.read(); got != "\x01\x02" {
				t.Errorf("got %q", got)
			}
		}

		a.srv.In("/", "y").Join("z")
		sockets, err := a.srv.In("/", "z").Sockets(t.Context())
		if err != nil || len(sockets) != 1 || sockets[0].ID != there.sid || !slices.Contains(sockets[0].Rooms, "z") {
			t.Errorf("sockets %+v, %v", sockets, err)
		}
		a.srv.In("/", "y").Leave("z")
		if sockets, err := a.srv.In("/", "z").Sockets(t.Context()); err != nil || len(sockets) != 0 {
			t.Errorf("sockets %+v, %v", sockets, err)
		}
		for _, tt := range []struct{ reply, want string }{{"", "null"}, {"1", "1"}, {`1,"two"`, `[1,"two"]`}} {
			var acks []Ack
			var err error
			var asked sync.WaitGroup
			asked.Go(func() { acks, err = a.srv.In("/").EmitWithAck(t.Context(), 10*time.Second, "ask", nil) })
			for _, c := range []*traveller{here, there} {
				id := strings.TrimSuffix(strings.TrimPrefix(c.read(), "42"), `["ask"]`)
				c.send("43" + id + "[" + tt.reply + "]")
			}
			asked.Wait()
			if err != nil || len(acks) != 2 || string(acks[0].Value) != tt.want || string(acks[1].Value) != tt.want {
				t.Errorf("acks %s, %v, want %s", acks, err, tt.want)
			}
		}
		acks, err := b.srv.In("/", here.sid).EmitWithAck(t.Context(), time.Millisecond, "ask", nil)
		if !errors.Is(err, ErrTimeout) || len(acks) != 0 {
			t.Errorf("acks %v, %v", acks, err)
		}
		here.read()

		b.srv.OnServerSideEmit("/", "add", func(args []json.RawMessage) json.RawMessage { return args[0] })
		answers, err := a.srv.ServerSideEmitWithAck(t.Context(), "/", "add", []json.RawMessage{json.RawMessage("5")})
		if err != nil || len(answers) != 1 || string(answers[0]) != "5" {
			t.Errorf("answers %s, %v", answers, err)
		}
		a.srv.In("/", "y").Disconnect(false)
		there.expect("41")
		b.srv.In("/", here.sid).Disconnect(true)
		here.expect("41")
		if _, _, err := here.ReadMessage(); err == nil {
			t.Error("the connection is there")
		}
		if err := a.srv.In("/nowhere").Join("x"); err == nil {
			t.Error("a namespace that is not there was taken")
		}
	}
}

// kept is a history in memory.
type kept struct {
	mu    sync.Mutex
	rooms map[events.Room][]Publication
}

func (k *kept) add(room string, value string) cluster.Position {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rooms == nil {
		k.rooms = make(map[events.Room][]Publication)
	}
	all := k.rooms[events.Room(room)]
	at := cluster.Position{Offset: uint64(len(all) + 1), Prev: uint64(len(all))}
	k.rooms[events.Room(room)] = append(all, Publication{"news", json.RawMessage(strconv.Quote(value)), at})
	return at
}

func (k *kept) Missed(_ context.Context, _ string, room events.Room, after, until uint64) []Publication {
	k.mu.Lock()
	defer k.mu.Unlock()
	missed := slices.Clone(k.rooms[room][after:until])
	if missed[0].At.Offset == 2 { // gone
		missed[0] = Publication{"gap", json.RawMessage(`"2 to 2"`), cluster.Position{}}
	}
	return missed
}

func (k *kept) Heads(_ context.Context, _ string, rooms []events.Room) (map[events.Room]uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	heads := make(map[events.Room]uint64)
	for _, r := range rooms {
		heads[r] = uint64(len(k.rooms[r]))
	}
	return heads, nil
}

// What a server could not hear it reads when it can again, in order and once;
// what is gone is told.
func TestCatchingUp(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		net, history := clustertest.New(ordered), &kept{}
		busA, busB := net.Bus(), net.Bus()
		a := station(t, busA, Options{History: history}, recoverable())
		arrived := make(chan events.Room, 10)
		b := station(t, busB, Options{History: history, Arrived: func(_ string, room events.Room) { arrived <- room }}, recoverable())
		here, _ := a.travel(nil, "ann")
		there, _ := b.travel(nil, "bob")
		here.join("x")
		there.join("x")
		say := func(value string) {
			a.srv.Publish("/", "x", history.add("x", value), named{"news", value})
		}
		say("1")
		here.wants("news", "1")
		there.wants("news", "1")
		if room := <-arrived; room != "x" {
			t.Errorf("arrived in %s", room)
		}
		busB.SetUp(false)
		say("2")
		say("3")
		busB.SetUp(true)
		say("4")
		for _, value := range []string{"2", "3", "4"} {
			here.wants("news", value)
		}
		there.wants("gap", "2 to 2")
		there.wants("news", "3")
		there.wants("news", "4")
		// The sender is away: its own clients are served, the others later.
		busA.SetUp(false)
		say("5")
		here.wants("news", "5")
		busA.SetUp(true)
		there.wants("news", "5")
		say("6")
		here.wants("news", "6")
		there.wants("news", "6")
	}
}
