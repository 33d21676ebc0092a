package rawws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/websocket"
)

// ear is a client that hears what its speaker is told.
type ear struct {
	*bots
	t  *testing.T
	ws *websocket.Client
}

// deaf takes no notice of what clients say.
type deaf struct{}

func (deaf) Message(*websocket.Conn, *websocket.Turn, websocket.Opcode, []byte) {}
func (deaf) Pong(*websocket.Conn, []byte)                                       {}
func (deaf) Closed(*websocket.Conn, *websocket.CloseError)                      {}

func newEar(t *testing.T) *ear {
	t.Helper()
	server := websocket.NewServer(websocket.Options{})
	upgraded := make(chan *websocket.Conn, 1)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, buffered, err := server.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ws.Start(deaf{}, buffered)
		ws.Flush()
		upgraded <- ws
	}))
	t.Cleanup(h.Close)
	client, _, err := websocket.Dial(t.Context(), strings.Replace(h.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conn := &Conn{ws: <-upgraded, session: &Session{id: "me"}}
	return &ear{&bots{conn: conn}, t, client}
}

// hear tells it something.
func (e *ear) hear(p events.Payload, offset uint64) {
	payload, err := json.Marshal(p)
	if err != nil {
		e.t.Fatal(err)
	}
	e.Hear(Notice{Event: p.EventName(), Payload: payload, Offset: offset})
}

// heard returns what it was told until now, in short, and what of it was
// numbered.
func (e *ear) heard() (all string, numbered map[string]uint64) {
	e.t.Helper()
	numbered = e.reached.confirmed(1 << 60)
	e.conn.SendJSON(botsFrame{Type: "pong"})
	e.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	var list []string
	for {
		_, text, err := e.ws.ReadMessage()
		if err != nil {
			e.t.Fatal(err)
		}
		var f botsFrame
		if err := json.Unmarshal(text, &f); err != nil {
			e.t.Fatal(err)
		}
		if f.Type == "pong" {
			return strings.Join(list, ", "), numbered
		}
		what := f.Type
		if f.Content != nil {
			what += " " + *f.Content
		}
		if f.Tool != "" {
			what += " " + f.Tool
		}
		list = append(list, what)
	}
}

func start(n uint64) events.Payload { return events.AIChatBotStreamStart{ChatRoomID: "r", ReplyTo: n} }

func delta(n uint64, at int, text string) events.Payload {
	return events.AIChatBotStreamDelta{ChatRoomID: "r", ReplyTo: n, At: at, Text: text}
}

func end(n uint64, text string) events.Payload {
	return events.AIChatBotStreamEnd{ChatRoomID: "r", ReplyTo: n, Text: text}
}

func whole(n uint64, text string) events.Payload {
	return events.AIChatBotMessage{ChatRoomID: "r", ReplyTo: n, Text: text}
}

// An answer is told once and whole, in whatever order it comes by its two rooms:
// what was said in pieces adds up to what it ends with.
func TestBotsHearAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		said []events.Payload
		want string
	}{
		"in order":               {[]events.Payload{start(1), delta(1, 0, "a"), delta(1, 1, "b"), end(1, "ab"), whole(1, "ab")}, "stream_start, stream_chunk a, stream_chunk b, stream_end ab"},
		"a piece is overtaken":   {[]events.Payload{start(1), delta(1, 0, "a"), whole(1, "ab"), delta(1, 1, "b"), end(1, "ab")}, "stream_start, stream_chunk a, stream_chunk b, stream_end ab"},
		"all is overtaken":       {[]events.Payload{whole(1, "ab"), start(1), delta(1, 0, "ab"), end(1, "ab")}, "message ab"},
		"all but the start":      {[]events.Payload{start(1), whole(1, "ab"), delta(1, 0, "ab"), end(1, "ab")}, "stream_start, stream_chunk ab, stream_end ab"},
		"the start is missing":   {[]events.Payload{delta(1, 0, "a"), delta(1, 1, "b"), end(1, "ab")}, "stream_start, stream_chunk a, stream_chunk b, stream_end ab"},
		"a piece is missing":     {[]events.Payload{start(1), delta(1, 0, "a"), delta(1, 2, "c"), end(1, "abc")}, "stream_start, stream_chunk a, stream_chunk c, stream_start, stream_chunk abc, stream_end abc"},
		"it is replaced":         {[]events.Payload{start(1), delta(1, 0, "secret"), delta(1, 0, "no"), end(1, "no")}, "stream_start, stream_chunk secret, stream_start, stream_chunk no, stream_end no"},
		"that is overtaken":      {[]events.Payload{start(1), delta(1, 0, "secret"), whole(1, "no"), delta(1, 0, "no"), end(1, "no")}, "stream_start, stream_chunk secret, stream_start, stream_chunk no, stream_end no"},
		"nothing was said":       {[]events.Payload{start(1), end(1, ""), whole(1, "")}, "stream_start, stream_end "},
		"it is nobody's answer":  {[]events.Payload{whole(0, "hello"), whole(0, "again")}, "message hello, message again"},
		"of the next one, early": {[]events.Payload{start(1), delta(1, 0, "a"), start(3), delta(3, 0, "b"), whole(1, "a"), whole(3, "b")}, "stream_start, stream_chunk a, stream_start, stream_chunk b, stream_end a, stream_end b"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEar(t)
			e.in.add("s", "r")
			for i, p := range tt.said {
				e.hear(p, uint64(i+1))
			}
			if got, _ := e.heard(); got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
			if n := len(e.answers.open); n != 0 {
				t.Errorf("%d answers are open", n)
			}
		})
	}
}

// What comes of a room that the client is not in is not told, and does not count
// as told.
func TestBotsHearNothingElse(t *testing.T) {
	e := newEar(t)
	said := []events.Payload{start(1), delta(1, 0, "a"), end(1, "a"), whole(1, "a"), events.AIChatMemberMessage{ChatRoomID: "r", Text: "hi"}}
	for _, p := range said {
		e.hear(p, 2)
	}
	if got, numbered := e.heard(); got != "" || len(numbered) != 0 || len(e.answers.open) != 0 {
		t.Errorf("heard %s, numbered %v, open %v", got, numbered, e.answers.open)
	}
	e.in.add("s", "r")
	e.hear(whole(1, "a"), 2)
	if got, numbered := e.heard(); got != "message a" || fmt.Sprint(numbered) != "map[r:2]" {
		t.Errorf("heard %s, numbered %v", got, numbered)
	}
}

// One of the same name as a session that was closed begins anew, and others go
// on.
func TestBotsStartOver(t *testing.T) {
	e := newEar(t)
	e.in.add("s", "r")
	e.in.add("other", "o")
	e.hear(whole(1, "a"), 2)
	e.hear(events.AIChatBotMessage{ChatRoomID: "o", ReplyTo: 1, Text: "b"}, 2)
	e.hear(start(3), 0)
	e.hear(events.AIChatRoomUpdated{ChatRoomID: "r", Deleted: true}, 0)
	e.in.add("s", "r")
	e.hear(whole(1, "c"), 2)
	e.hear(events.AIChatBotMessage{ChatRoomID: "o", ReplyTo: 1, Text: "b"}, 2)
	if got, _ := e.heard(); got != "message a, message b, stream_start, session_closed, message c" {
		t.Error(got)
	}
}

// Models call their calls alike in several sessions.
func TestBotsHearTools(t *testing.T) {
	e := newEar(t)
	rooms := map[string]string{"r": "search", "o": "order"}
	for _, room := range []string{"r", "o"} {
		e.in.add("session "+room, room)
		e.hear(events.AIChatToolCall{ChatRoomID: room, ToolCallID: "call_0", Name: rooms[room], Arguments: events.JSON(`{}`)}, 0)
	}
	for _, room := range []string{"r", "o"} {
		e.hear(events.AIChatToolResult{ChatRoomID: room, ToolCallID: "call_0", OK: true}, 0)
	}
	if got, _ := e.heard(); got != "tool_call search, tool_call order, tool_result search, tool_result order" || len(e.tools) != 0 {
		t.Error(got, e.tools)
	}
}

// A client is in so many sessions at once, and no more.
func TestBotsSessions(t *testing.T) {
	e := newEar(t)
	for n := range maxSessions {
		e.in.add(fmt.Sprint(n), fmt.Sprint("room ", n))
	}
	if _, err := e.subscribe(t.Context(), "another"); err == nil || botsCode("subscribe", err) != "SUBSCRIPTION_FAILED" {
		t.Error(err)
	}
	if room, err := e.subscribe(t.Context(), "7"); err != nil || room != "room 7" {
		t.Error(room, err)
	}
}
