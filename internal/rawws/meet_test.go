package rawws_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// want reads the next message, which must have these fields among others.
// Fields in braces are kept under their name, and stand for what was kept
// after that.
func (c *client) want(kept map[string]string, fields map[string]any) map[string]any {
	c.t.Helper()
	m := c.next()
	documented(c.t, m)
	for name, value := range fields {
		text, _ := value.(string)
		if key, ok := strings.CutPrefix(text, "{"); ok {
			got, _ := m[name].(string)
			if kept[key] == "" {
				kept[key] = got
			}
			value = kept[key]
		}
		if fmt.Sprint(m[name]) != fmt.Sprint(value) {
			c.t.Fatalf("got %v, want %s: %v", m, name, value)
		}
	}
	return m
}

type fields = map[string]any

// documented holds what the server said against the document.
func documented(t *testing.T, m map[string]any) {
	t.Helper()
	contract := asyncapitest.Contract(t, "ws-meet.yaml")
	kind := m["type"].(string)
	channel := "/ws/meet/{room}"
	if _, named := m["room_id"]; named {
		channel = "/ws/meet"
	}
	raw, _ := json.Marshal(m)
	if err := contract.Outbound(channel, kind, raw); err != nil {
		t.Errorf("%s: %v", raw, err)
	}
}

// Every example of what clients send is accepted.
func TestMeetAcceptsItsExamples(t *testing.T) {
	s := meetServer(t, nil)
	token := s.Token("ann", "default", auth.Member)
	for _, m := range asyncapitest.Document(t, "ws-meet.yaml").Messages() {
		path := strings.Replace(m.Namespace, "{room}", "room-uuid", 1)
		for _, e := range m.Examples {
			if !m.Inbound || m.Name == "auth" { // whose token is none
				continue
			}
			target, c := dial(t, s, path+"?token="+token), dial(t, s, path+"?token="+token)
			target.send(`{"type":"join","room_id":"room-uuid","participant_id":"participant-uuid","participant_name":"N"}`)
			target.next()
			c.send(`{"type":"join","room_id":"room-uuid","participant_name":"N"}`)
			c.send(string(e))
			c.send(`{"type":"ping"}`)
			for kind := any(""); kind != "pong"; {
				answer := c.next()
				documented(t, answer)
				if kind = answer["type"]; kind == "error" {
					t.Errorf("%s %s: %v", path, e, answer)
				}
			}
			target.ws.Close()
			c.ws.Close()
		}
	}
	resp, text := s.Send("", "GET", "/asyncapi/ws-meet.yaml", http.Header{}, nil)
	if resp.StatusCode != 200 || string(text) != string(asyncapi.Dialects()["ws-meet.yaml"]) {
		t.Errorf("%d %.100s", resp.StatusCode, text)
	}
}

// silent makes sure that nothing has come: pings are answered in order.
func (c *client) silent() {
	c.t.Helper()
	c.send(`{"type":"ping"}`)
	if m := c.next(); m["type"] != "pong" {
		c.t.Fatalf("heard %v", m)
	}
}

// ended waits for the close of the connection.
func (c *client) ended(code websocket.Status) {
	c.t.Helper()
	c.ws.SetReadDeadline(time.Now().Add(eventually.Patience))
	for {
		_, _, err := c.ws.ReadMessage()
		if err == nil {
			continue
		}
		if closed, ok := err.(*websocket.CloseError); !ok || closed.Code != code {
			c.t.Fatalf("ended with %v, want %d", err, code)
		}
		return
	}
}

func meetServer(t *testing.T, change func(*config.Config)) *servertest.Server {
	return servertest.Start(t, servertest.Options{Change: change})
}

// The words of clients that name the room, as the documentation has them.
func TestMeetBare(t *testing.T) {
	s := meetServer(t, nil)
	kept := map[string]string{}
	john := dial(t, s, "/ws/meet?token="+s.Token("john", "default", auth.Member))
	jane := dial(t, s, "/ws/meet?token="+s.Token("jane", "default", auth.Member))
	john.send(`{"type":"join","room_id":"room-uuid","participant_name":"John"}`)
	m := john.want(kept, fields{"type": "joined", "room_id": "room-uuid", "participant_id": "{john"})
	if len(m["participants"].([]any)) != 0 {
		t.Error(m)
	}
	jane.send(`{"type":"join","room_id":"room-uuid","participant_name":"Jane"}`)
	m = jane.want(kept, fields{"type": "joined", "participant_id": "{jane"})
	if want := fmt.Sprint([]any{fields{"participant_id": kept["john"], "id": kept["john"], "participant_name": "John", "name": "John", "muted": false}}); fmt.Sprint(m["participants"]) != want {
		t.Errorf("got %v, want %s", m["participants"], want)
	}
	john.want(kept, fields{"type": "participant_joined", "room_id": "room-uuid", "participant_id": "{jane", "participant_name": "Jane"})
	john.send(`{"type":"signal","room_id":"room-uuid","target_id":"` + kept["jane"] + `","signal":{"type":"offer","sdp":"v=0\r\n<&>","n":12345678901234567890}}`)
	m = jane.want(kept, fields{"type": "signal", "room_id": "room-uuid", "from_id": "{john"})
	if signal := m["signal"].(map[string]any); signal["sdp"] != "v=0\r\n<&>" {
		t.Error(m)
	}
	for _, c := range []struct{ frame, code string }{
		{`{"type":"signal","room_id":"room-uuid","target_id":"nobody","signal":{}}`, "TARGET_NOT_FOUND"},
		{`{"type":"signal","room_id":"room-uuid","target_id":"` + kept["john"] + `","signal":{}}`, "TARGET_NOT_FOUND"}, // oneself
		{`{"type":"signal","room_id":"elsewhere","target_id":"` + kept["jane"] + `","signal":{}}`, "NOT_IN_ROOM"},
		{`{"type":"leave","room_id":"elsewhere"}`, "NOT_IN_ROOM"},
		{`{"type":"leave"}`, "INVALID_FORMAT"},
		{`{"type":"chat_message","content":"hi"}`, "INVALID_FORMAT"},
		{`{"type":"signal","room_id":"room-uuid","signal":{}}`, "INVALID_FORMAT"},
		{`{"type":"signal","room_id":"room-uuid","target_id":"x"}`, "INVALID_FORMAT"},
		{`{"type":"signal","room_id":"room-uuid","target_id":7,"signal":{}}`, "INVALID_FORMAT"},
		{`{"type":"join","participant_name":"John"}`, "INVALID_FORMAT"},
		{`{"type":"join","room_id":"a\u0007b","participant_name":"John"}`, "INVALID_FORMAT"},
		{`{"type":"join","room_id":"` + strings.Repeat("x", 129) + `","participant_name":"John"}`, "INVALID_FORMAT"},
		{`{"type":"join","room_id":"r2"}`, "INVALID_FORMAT"},
		{`{"type":"join","room_id":"r2","participant_name":"x","tenant_id":"other"}`, "PERMISSION_DENIED"},
		{`{"type":"dance","room_id":"room-uuid"}`, "INVALID_FORMAT"},
		{`[]`, "INVALID_FORMAT"},
		{`nonsense`, "INVALID_FORMAT"},
	} {
		john.send(c.frame)
		if m := john.next(); m["type"] != "error" || m["code"] != c.code || m["message"] == "" {
			t.Errorf("%s: %v, want %s", c.frame, m, c.code)
		}
	}
	// Joining again is no more than looking again.
	john.send(`{"type":"join","payload":{"room_id":"room-uuid","participant_name":"John"}}`)
	john.want(kept, fields{"type": "joined", "participant_id": "{john"})
	jane.silent()
	jane.send(`{"type":"leave","room_id":"room-uuid"}`)
	john.want(kept, fields{"type": "participant_left", "room_id": "room-uuid", "participant_id": "{jane", "reason": "left"})
	jane.send(`{"type":"signal","room_id":"room-uuid","target_id":"` + kept["john"] + `","signal":{}}`)
	jane.want(kept, fields{"type": "error", "code": "NOT_IN_ROOM"})
	jane.send(`{"type":"join","room_id":"room-uuid","participant_name":"Jane","participant_id":"jane-1"}`)
	jane.want(kept, fields{"type": "joined", "participant_id": "jane-1"})
	john.want(kept, fields{"type": "participant_joined", "participant_id": "jane-1"})
	jane.ws.Close()
	john.want(kept, fields{"type": "participant_left", "participant_id": "jane-1", "reason": "disconnected"})
	for n := range 8 { // the eighth is one too many
		john.send(fmt.Sprintf(`{"type":"join","room_id":"more-%d","participant_name":"John"}`, n))
		if want := map[bool]string{true: "joined", false: "error"}[n < 7]; john.next()["type"] != want {
			t.Errorf("meeting %d", n)
		}
	}
}

// The words of clients at the path of a meeting, as the real ones have them.
func TestMeetPath(t *testing.T) {
	s := meetServer(t, nil)
	kept := map[string]string{}
	path := "/ws/meet/daily%20call?token="
	ann := dial(t, s, path+s.Token("ann", "default", auth.Member))
	bob := dial(t, s, path+s.Token("bob", "default", auth.Member))
	ann.send(`{"type":"join","room_id":"other","participant_id":"a","participant_name":"Ann"}`)
	ann.want(kept, fields{"type": "error", "message": "Room ID mismatch"})
	ann.send(`{"type":"join","room_id":"daily call","participant_id":"a","participant_name":"Ann"}`)
	if m := ann.want(kept, fields{"type": "participant_list", "participant_id": "a"}); fmt.Sprint(m["participants"]) != "[map[id:a muted:false name:Ann]]" {
		t.Error(m)
	}
	bob.send(`{"type":"join","participant_id":"a","participant_name":"Bob"}`) // taken
	bob.want(kept, fields{"type": "user_joined", "participant_id": "a", "participant_name": "Ann"})
	m := bob.want(kept, fields{"type": "participant_list", "participant_id": "{bob"})
	if kept["bob"] == "a" || len(m["participants"].([]any)) != 2 {
		t.Error(m)
	}
	ann.want(kept, fields{"type": "user_joined", "participant_id": "{bob", "participant_name": "Bob"})
	for _, c := range []struct {
		sent string
		want fields
	}{
		{`{"type":"offer","target_id":"%s","sdp":"v=0"}`, fields{"type": "offer", "from_id": "a", "sdp": "v=0"}},
		{`{"type":"answer","target_id":"%s","sdp":"v=1"}`, fields{"type": "answer", "from_id": "a", "sdp": "v=1"}},
		{`{"type":"ice_candidate","target_id":"%s","candidate":{"candidate":"c","sdpMLineIndex":0}}`, fields{"type": "ice_candidate", "from_id": "a", "candidate": map[string]any{"candidate": "c", "sdpMLineIndex": 0.}}},
		{`{"type":"ice_candidate","target_id":"%s","candidate":null}`, fields{"type": "ice_candidate", "candidate": nil}},
		{`{"type":"chat_message","content":"hi <b>"}`, fields{"type": "chat_message", "from_id": "a", "from_name": "Ann", "content": "hi <b>"}},
		{`{"type":"mute","muted":true}`, fields{"type": "mute", "participant_id": "a", "muted": true}},
		{``, fields{"type": "participant_list", "participants": []any{map[string]any{"id": "a", "muted": true, "name": "Ann"}, map[string]any{"id": "{", "muted": false, "name": "Bob"}}}},
		{`{"type":"screen_share_start"}`, fields{"type": "screen_share_start", "participant_id": "a"}},
		{`{"type":"screen_share_stop"}`, fields{"type": "screen_share_stop", "participant_id": "a"}},
		{`{"type":"raise_hand"}`, fields{"type": "raise_hand", "participant_id": "a"}},
		{`{"type":"reaction","emoji":"👍"}`, fields{"type": "reaction", "participant_id": "a", "emoji": "👍"}},
	} {
		if c.sent != "" {
			ann.send(strings.Replace(c.sent, "%s", kept["bob"], 1))
		}
		if all, ok := c.want["participants"].([]any); ok {
			all[1].(map[string]any)["id"] = kept["bob"]
		}
		if m := bob.want(kept, c.want); m["type"] == "chat_message" {
			if _, err := time.Parse(time.RFC3339, m["timestamp"].(string)); err != nil {
				t.Error(err)
			}
		}
	}
	// Muted already: nothing to tell. Nobody of that name: nobody expects a word.
	ann.send(`{"type":"mute","muted":true}`)
	ann.send(`{"type":"offer","target_id":"nobody","sdp":"v=0"}`)
	for _, c := range []string{
		`{"type":"reaction","emoji":""}`, `{"type":"reaction"}`, `{"type":"chat_message","content":""}`, `{"type":"mute"}`, `{"type":"mute","muted":"yes"}`,
		`{"type":"offer","sdp":"v=0"}`, `{"type":"offer","target_id":"x"}`, `{"type":"offer","target_id":"x","sdp":7}`, `{"type":"ice_candidate","target_id":"x"}`, `{"type":"dance"}`, `x`,
	} {
		ann.send(c)
		if m := ann.next(); m["type"] != "error" || !strings.HasPrefix(m["message"].(string), "Invalid: ") {
			t.Errorf("%s: %v", c, m)
		}
	}
	bob.silent()
	ann.send(`{"type":"leave"}`)
	bob.want(kept, fields{"type": "user_left", "participant_id": "a"})
	ann.send(`{"type":"chat_message","content":"hi"}`)
	ann.want(kept, fields{"type": "error", "code": "NOT_IN_ROOM"})
}

// Clients of both kinds meet in one room, each with its own words.
func TestMeetBoth(t *testing.T) {
	s := meetServer(t, nil)
	kept := map[string]string{}
	bare := dial(t, s, "/ws/meet?token="+s.Token("ann", "default", auth.Member))
	path := dial(t, s, "/ws/meet/r?token="+s.Token("bob", "default", auth.Member))
	bare.send(`{"type":"join","room_id":"r","participant_name":"Ann","participant_id":"ann"}`)
	bare.want(kept, fields{"type": "joined"})
	path.send(`{"type":"join","participant_name":"Bob","participant_id":"bob"}`)
	path.want(kept, fields{"type": "user_joined", "participant_id": "ann"})
	path.want(kept, fields{"type": "participant_list"})
	bare.want(kept, fields{"type": "participant_joined", "participant_id": "bob"})
	for _, c := range []struct {
		signal string
		want   fields
	}{
		{`{"type":"offer","sdp":"v=0"}`, fields{"type": "offer", "sdp": "v=0"}},
		{`{"description":{"type":"answer","sdp":"v=1"}}`, fields{"type": "answer", "sdp": "v=1"}},
		{`{"type":"candidate","candidate":{"candidate":"c"}}`, fields{"type": "ice_candidate", "candidate": fields{"candidate": "c"}}},
		{`{"candidate":"c","sdpMid":"0"}`, fields{"type": "ice_candidate", "candidate": fields{"candidate": "c", "sdpMid": "0"}}},
		{`{"renegotiate":true}`, fields{"type": "signal", "signal": fields{"renegotiate": true}}},
		{`"text"`, fields{"type": "signal", "signal": "text"}},
	} {
		bare.send(`{"type":"signal","room_id":"r","target_id":"bob","signal":` + c.signal + `}`)
		c.want["from_id"] = "ann"
		path.want(kept, c.want)
	}
	for _, c := range []struct {
		sent string
		want any
	}{
		{`{"type":"offer","target_id":"ann","sdp":"v=0"}`, fields{"type": "offer", "sdp": "v=0"}},
		{`{"type":"answer","target_id":"ann","sdp":{"type":"answer","sdp":"v=1"}}`, fields{"type": "answer", "sdp": "v=1"}},
		{`{"type":"ice_candidate","target_id":"ann","candidate":{"candidate":"c"}}`, fields{"type": "candidate", "candidate": fields{"candidate": "c"}}},
	} {
		path.send(c.sent)
		bare.want(kept, fields{"type": "signal", "room_id": "r", "from_id": "bob", "signal": c.want})
	}
	path.send(`{"type":"chat_message","content":"hi"}`)
	bare.want(kept, fields{"type": "chat_message", "room_id": "r", "from_id": "bob", "content": "hi"})
	bare.send(`{"type":"mute","room_id":"r","muted":true}`)
	path.want(kept, fields{"type": "mute", "participant_id": "ann", "muted": true})
	path.want(kept, fields{"type": "participant_list"})
	bare.send(`{"type":"leave","room_id":"r"}`)
	path.want(kept, fields{"type": "user_left", "participant_id": "ann"})
}

// A meeting has as many participants as it is for, and a tenant has its own.
func TestMeetCapacityAndTenants(t *testing.T) {
	s := meetServer(t, nil)
	kept := map[string]string{}
	var all []*client
	join := func(c *client) { c.send(`{"type":"join","room_id":"r","participant_name":"N"}`) }
	token := s.Token("ann", "default", auth.Member)
	for range 25 {
		c := dial(t, s, "/ws/meet?token="+token)
		join(c)
		c.want(kept, fields{"type": "joined"})
		all = append(all, c)
	}
	late := dial(t, s, "/ws/meet?token="+token)
	join(late)
	late.want(kept, fields{"type": "error", "code": "ROOM_FULL", "message": "Room full (max 25)"})
	foreign := dial(t, s, "/ws/meet?token="+s.Token("eve", "acme", auth.Member))
	join(foreign)
	if m := foreign.want(kept, fields{"type": "joined"}); len(m["participants"].([]any)) != 0 {
		t.Errorf("another tenant sees %v", m)
	}
	all[0].send(`{"type":"leave","room_id":"r"}`)
	all[1].send(`{"type":"leave","room_id":"r"}`)
	eventually.True(t, func() bool {
		join(late)
		return late.next()["type"] == "joined"
	})
	// Who addresses a participant of another tenant's meeting, or of another
	// meeting, finds nobody.
	all[2].send(`{"type":"join","room_id":"private","participant_name":"N","participant_id":"target"}`)
	for all[2].next()["participant_id"] != "target" {
	}
	foreign.send(`{"type":"join","room_id":"private","participant_name":"E"}`)
	foreign.want(kept, fields{"type": "joined", "participants": []any{}})
	for _, room := range []string{"r", "private"} {
		foreign.send(`{"type":"signal","room_id":"` + room + `","target_id":"target","signal":{}}`)
		foreign.want(kept, fields{"type": "error", "code": "TARGET_NOT_FOUND"})
	}
	late.send(`{"type":"signal","room_id":"r","target_id":"target","signal":{}}`)
	for m := late.next(); m["code"] != "TARGET_NOT_FOUND"; m = late.next() {
	}
	all[2].send(`{"type":"ping"}`)
	for m := all[2].next(); m["type"] != "pong"; m = all[2].next() {
		if m["type"] == "signal" { // others come and go meanwhile
			t.Errorf("a signal from elsewhere: %v", m)
		}
	}
	publisher := dial(t, s, "/ws/meet?token="+s.Token("robot", "default", auth.Publisher))
	join(publisher)
	publisher.want(kept, fields{"type": "error", "code": "PERMISSION_DENIED"})
}

// Who clients are is said by query or with the first frame; who does not say
// may only be where that is allowed.
func TestMeetIdentity(t *testing.T) {
	s := meetServer(t, func(c *config.Config) { c.WebSocket.AuthTimeout = time.Second })
	kept := map[string]string{}
	token := s.Token("ann", "default", auth.Member)
	c := dial(t, s, "/ws/meet")
	c.send(`{"type":"join","room_id":"r","participant_name":"N"}`)
	c.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
	c.send(`{"type":"auth","token":"` + token + `"}`)
	c.send(`{"type":"join","room_id":"r","participant_name":"N"}`)
	c.want(kept, fields{"type": "joined"})
	c.send(`{"type":"auth","token":"` + s.Token("bob", "default", auth.Member) + `"}`) // somebody else
	c.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
	c.send(`{"type":"auth","token":"` + s.Token("ann", "acme", auth.Member) + `"}`) // not there any more
	c.want(kept, fields{"type": "error", "code": "NOT_IN_ROOM"})
	for _, path := range []string{"/ws/meet?token=rubbish", "/ws/meet/r?token=rubbish"} {
		bad := dial(t, s, path)
		bad.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
		bad.ended(4401)
	}
	bad := dial(t, s, "/ws/meet/r")
	bad.send(`{"type":"auth","token":"rubbish"}`)
	bad.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
	bad.ended(4401)
	late := dial(t, s, "/ws/meet/r")
	late.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
	late.ended(4408)
	several := dial(t, s, "/ws/meet?token="+s.Sign(auth.Identity{User: "ann", Tenants: []auth.Membership{{ID: "default", Role: auth.Member}, {ID: "acme", Role: auth.Member}}}, time.Hour))
	several.send(`{"type":"join","room_id":"r","participant_name":"N"}`)
	several.want(kept, fields{"type": "error", "code": "INVALID_FORMAT"})
	several.send(`{"type":"join","room_id":"r","participant_name":"N","tenant_id":"acme"}`)
	several.want(kept, fields{"type": "joined"})
}

func TestMeetAnonymous(t *testing.T) {
	s := meetServer(t, func(c *config.Config) { c.WebSocket.Meet.Anonymous, c.WebSocket.AuthTimeout = "default", 2*time.Second })
	kept := map[string]string{}
	known := dial(t, s, "/ws/meet?token="+s.Token("ann", "default", auth.Member))
	known.send(`{"type":"join","room_id":"r","participant_name":"Ann"}`)
	known.want(kept, fields{"type": "joined"})
	c := dial(t, s, "/ws/meet")
	c.send(`{"type":"chat_message","room_id":"r","content":"hi"}`)
	c.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
	c.send(`{"type":"join","room_id":"r","participant_name":"N","tenant_id":"acme"}`)
	c.want(kept, fields{"type": "error", "code": "PERMISSION_DENIED"})
	c.send(`{"type":"join","room_id":"r","participant_name":"Somebody"}`)
	if m := c.want(kept, fields{"type": "joined"}); len(m["participants"].([]any)) != 1 {
		t.Error(m)
	}
	known.want(kept, fields{"type": "participant_joined", "participant_name": "Somebody"})
	// Who could not join without a token may send one, and renew it there.
	eve := dial(t, s, "/ws/meet")
	eve.send(`{"type":"join","room_id":"r","participant_name":"Eve","tenant_id":"acme"}`)
	eve.want(kept, fields{"type": "error", "code": "PERMISSION_DENIED"})
	for range 2 {
		eve.send(`{"type":"auth","token":"` + s.Token("eve", "acme", auth.Member) + `"}`)
		eve.send(`{"type":"join","room_id":"r","participant_name":"Eve"}`)
		eve.want(kept, fields{"type": "joined", "participants": []any{}})
	}
	c.send(`{"type":"auth","token":"` + s.Token("bob", "acme", auth.Member) + `"}`)
	c.want(kept, fields{"type": "error", "code": "AUTH_FAILED"})
	late := dial(t, s, "/ws/meet")
	late.ended(4408) // and so long the other has stayed
	c.send(`{"type":"chat_message","room_id":"r","content":"hi"}`)
	known.want(kept, fields{"type": "chat_message", "content": "hi"})
}

// The end of a credential is that of the place in the meeting.
func TestMeetEndsWithTheCredential(t *testing.T) {
	s := meetServer(t, func(c *config.Config) { c.Auth.Leeway = 0 })
	kept := map[string]string{}
	stays := dial(t, s, "/ws/meet/r?token="+s.Token("ann", "default", auth.Member))
	stays.send(`{"type":"join","participant_name":"Ann"}`)
	stays.want(kept, fields{"type": "participant_list"})
	c := dial(t, s, "/ws/meet/r?token="+s.Sign(auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "default", Role: auth.Member}}}, 2*time.Second))
	c.send(`{"type":"join","participant_name":"Bob"}`)
	stays.want(kept, fields{"type": "user_joined", "participant_id": "{bob"})
	c.ended(4401)
	stays.want(kept, fields{"type": "user_left", "participant_id": "{bob"})
}

// The documented limits hold here as everywhere, and are told in the words of
// the dialect.
func TestMeetLimits(t *testing.T) {
	s := meetServer(t, func(c *config.Config) { c.WebSocket.Rate, c.WebSocket.Burst = 1, 5 })
	kept := map[string]string{}
	token := s.Token("ann", "default", auth.Member)
	fast := dial(t, s, "/ws/meet/r?token="+token)
	for range 20 {
		fast.send(`{"type":"ping"}`)
	}
	for m := fast.next(); m["code"] != "RATE_LIMITED"; m = fast.next() {
		if m["type"] != "pong" {
			t.Fatal(m)
		}
	}
	long := dial(t, s, "/ws/meet?token="+token)
	long.send(`{"type":"signal","room_id":"r","target_id":"x","signal":"` + strings.Repeat("x", 65<<10) + `"}`)
	long.want(kept, fields{"type": "error", "code": "MESSAGE_TOO_LARGE"})
	long.ended(websocket.StatusTooBig)
	// Back ends that only publish take no part, and get no credentials either.
	for role, want := range map[auth.Role]int{auth.Member: 200, auth.Publisher: 403} {
		var answer map[string]any
		if status := s.Do(s.Token("x", "default", role), "GET", "/api/meet/turn-credentials", nil, &answer); status != want {
			t.Errorf("%s: %d %v", role, status, answer)
		}
	}
}

// A client that leaves and goes at once has left: it has said so.
func TestMeetLeaveAndGo(t *testing.T) {
	s := meetServer(t, nil)
	kept := map[string]string{}
	stays := dial(t, s, "/ws/meet?token="+s.Token("ann", "default", auth.Member))
	stays.send(`{"type":"join","room_id":"r","participant_name":"Ann"}`)
	stays.want(kept, fields{"type": "joined"})
	for n := range 20 {
		id := fmt.Sprint("bob ", n)
		goes := dial(t, s, "/ws/meet/r?token="+s.Token("bob", "default", auth.Member))
		goes.send(`{"type":"join","participant_id":"` + id + `","participant_name":"Bob"}`)
		stays.want(kept, fields{"type": "participant_joined", "participant_id": id})
		goes.ws.Write(slices.Concat(maskedFrame(fin|text, `{"type":"chat_message","content":"bye"}`), maskedFrame(fin|text, `{"type":"leave"}`), maskedFrame(fin|goodbye, "\x03\xe8")))
		stays.want(kept, fields{"type": "chat_message", "from_id": id, "content": "bye"})
		stays.want(kept, fields{"type": "participant_left", "participant_id": id, "reason": "left"})
	}
	for _, level := range []string{"level=ERROR", "level=WARN"} {
		if log := s.Log.String(); strings.Contains(log, level) {
			t.Errorf("in the log:\n%s", log)
		}
	}
}

// A participant whose connection is dead without a word is not there long: it
// does not answer pings.
func TestMeetMissesTheDead(t *testing.T) {
	t.Parallel()
	s := meetServer(t, func(c *config.Config) { c.WebSocket.Ping, c.WebSocket.IdleData = 100*time.Millisecond, true })
	kept := map[string]string{}
	lives := dial(t, s, "/ws/meet/r?token="+s.Token("ann", "default", auth.Member))
	lives.send(`{"type":"join","participant_name":"Ann"}`)
	lives.want(kept, fields{"type": "participant_list"})
	dead := dial(t, s, "/ws/meet?token="+s.Token("bob", "default", auth.Member))
	dead.send(`{"type":"join","room_id":"r","participant_id":"bob","participant_name":"Bob"}`) // and reads nothing from here on
	lives.want(kept, fields{"type": "user_joined", "participant_id": "bob"})
	lives.want(kept, fields{"type": "user_left", "participant_id": "bob", "reason": "disconnected"})
	lives.silent()
	// Clients of other dialects have until they are idle.
	listens := dialRaw(t, s, "/ws/service?token="+s.Token("cid", "default", auth.Member))
	for range 5 {
		if op, said := listens.read(); op != ping {
			t.Fatalf("%d %q", op, said)
		}
	}
}
