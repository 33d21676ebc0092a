package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// A caller is a client in meetings.
type caller struct {
	t  *testing.T
	ws *websocket.Client
}

func call(t *testing.T, s *servertest.Server, path, user string) *caller {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), eventually.Patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+path+"?token="+s.Token(user, app.DevTenant, auth.Member), http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return &caller{t, ws}
}

func (c *caller) send(format string, args ...any) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.OpText, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) next() (m map[string]any, err error) {
	c.ws.SetReadDeadline(time.Now().Add(eventually.Patience))
	_, text, err := c.ws.ReadMessage()
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// want reads the next frame, which says this about who it is about.
func (c *caller) want(kind, field, value string) {
	c.t.Helper()
	if m, err := c.next(); err != nil || m["type"] != kind || fmt.Sprint(m[field]) != value {
		c.t.Fatalf("got %v %v, want %s with %s %s", m, err, kind, field, value)
	}
}

// enterPath joins at the path of a meeting, and returns who is said to be there.
func (c *caller) enterPath(id string) (list string) {
	c.t.Helper()
	c.send(`{"type":"join","participant_id":"%s","participant_name":"%s"}`, id, id)
	for {
		m, err := c.next()
		if err != nil || m["type"] == "error" {
			c.t.Fatal(m, err)
		}
		if all, ok := m["participants"].([]any); ok {
			for _, one := range all {
				list += one.(map[string]any)["id"].(string) + " "
			}
			return list
		}
	}
}

// A meeting is one, whichever servers its participants are on, and whatever
// happens between those.
func TestMeetingsAcrossServers(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprintf("ordered=%v", ordered), func(t *testing.T) {
			net := clustertest.New(ordered)
			one, two := net.Bus(), net.Bus()
			meetAcross(t, func(*config.Config) {}, []cluster.Bus{one, two}, two.SetUp)
		})
	}
	t.Run("sharded", func(t *testing.T) {
		url := config.Secret(redistest.Start(t, redistest.Options{}).URL())
		meetAcross(t, func(c *config.Config) { c.Redis.URL, c.Redis.Adapter = url, "sharded" }, []cluster.Bus{nil, nil}, func(bool) {})
	})
}

// meetAcross has participants on two servers; setUp takes the second off the
// bus, and back.
func meetAcross(t *testing.T, change func(*config.Config), buses []cluster.Bus, setUp func(bool)) {
	url, data := postgrestest.URL(t), t.TempDir()
	var servers []*servertest.Server
	for _, bus := range buses {
		s := servertest.Start(t, servertest.Options{Bus: bus, Data: data, Change: func(c *config.Config) {
			c.Store.Driver, c.Store.URL, c.WebSocket.Meet.Capacity = config.Postgres, config.Secret(url), 3
			change(c)
		}})
		servers = append(servers, s)
	}
	for _, s := range servers {
		becomes(t, s, 200, "ready")
	}
	a, b := servers[0], servers[1]
	ann, bob := call(t, a, "/ws/meet/r", "ann"), call(t, b, "/ws/meet", "bob")
	if list := ann.enterPath("ann"); list != "ann " {
		t.Error(list)
	}
	bob.send(`{"type":"join","room_id":"r","participant_id":"bob","participant_name":"Bob"}`)
	bob.want("joined", "participants", "[map[id:ann muted:false name:ann participant_id:ann participant_name:ann]]")
	// An offer comes after the word that its sender is there.
	bob.send(`{"type":"signal","room_id":"r","target_id":"ann","signal":{"type":"offer","sdp":"v=0"}}`)
	ann.want("user_joined", "participant_id", "bob")
	ann.want("offer", "from_id", "bob")
	ann.send(`{"type":"answer","target_id":"bob","sdp":"v=1"}`)
	bob.want("signal", "signal", "map[sdp:v=1 type:answer]")
	for n := range 50 {
		ann.send(`{"type":"ice_candidate","target_id":"bob","candidate":%d}`, n)
	}
	for n := range 50 {
		bob.want("signal", "signal", fmt.Sprintf("map[candidate:%d type:candidate]", n))
	}
	ann.send(`{"type":"mute","muted":true}`)
	bob.want("mute", "muted", "true")
	cid, eve := call(t, b, "/ws/meet/r", "cid"), call(t, a, "/ws/meet/r", "eve")
	if list := cid.enterPath("cid"); list != "ann bob cid " {
		t.Error(list)
	}
	ann.want("user_joined", "participant_id", "cid")
	bob.want("participant_joined", "participant_id", "cid")
	eve.send(`{"type":"join","participant_id":"eve","participant_name":"Eve"}`)
	eve.want("error", "message", "Room full (max 3)")

	// What happens while a server hears nothing it knows afterwards.
	setUp(false)
	ann.send(`{"type":"leave"}`)
	eventually.True(t, func() bool {
		eve.send(`{"type":"join","participant_id":"eve","participant_name":"Eve"}`)
		m, _ := eve.next()
		return m["type"] == "user_joined"
	})
	setUp(true)
	bob.want("participant_left", "participant_id", "ann")
	bob.want("participant_joined", "participant_id", "eve")
	cid.want("user_left", "participant_id", "ann")
	cid.want("user_joined", "participant_id", "eve")

	// A server that stops takes its participants with it, and no others.
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	bob.want("participant_left", "participant_id", "eve")
	bob.send(`{"type":"signal","room_id":"r","target_id":"cid","signal":{}}`)
	cid.want("user_left", "participant_id", "eve")
	cid.want("signal", "from_id", "bob")
}

// A server that falls silent loses its participants to nobody: the others go
// on without them, and theirs are told when it is back.
func TestMeetingLosesServer(t *testing.T) {
	net := clustertest.New(true)
	busB, busA := net.Bus(), net.Bus()
	p := newPair(t, 3*time.Second, busB, busA)
	ann, bob := call(t, p.a, "/ws/meet/r", "ann"), call(t, p.b, "/ws/meet/r", "bob")
	ann.enterPath("ann")
	bob.enterPath("bob")
	ann.want("user_joined", "participant_id", "bob")
	p.cut(true)
	busA.SetUp(false)
	bob.want("user_left", "reason", "disconnected")
	again := call(t, p.b, "/ws/meet/r", "ann")
	if list := again.enterPath("ann"); list != "bob ann " {
		t.Error(list)
	}
	bob.want("user_joined", "participant_id", "ann")
	busA.SetUp(true) // while the list cannot be read
	p.cut(false)
	for {
		m, err := ann.next()
		if err == nil {
			if m["type"] != "user_left" && m["type"] != "user_joined" {
				t.Error(m)
			}
			continue
		}
		if closed := new(websocket.CloseError); !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway {
			t.Errorf("ended with %v", err)
		}
		break
	}
	again.send(`{"type":"offer","target_id":"bob","sdp":"v=0"}`)
	bob.want("offer", "from_id", "ann")
}

// No Socket.IO client gets into the namespace that carries meetings.
func TestMeetNamespaceIsClosed(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c, _, err := websocket.Dial(t.Context(), s.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(eventually.Patience))
	c.WriteMessage(websocket.OpText, []byte(`40/meet,{"token":"`+s.Token("boss", app.DevTenant, auth.Admin)+`"}`))
	reads(t, c, `44/meet,{"message":"Invalid namespace"`)
}
