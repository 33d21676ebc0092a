package rawws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// A serviceClient speaks the dialect service, and holds what it gets against
// the document.
type serviceClient struct {
	*client
	contract *asyncapi.Contract
}

func dialService(t *testing.T, s *servertest.Server, query string) *serviceClient {
	t.Helper()
	contract := asyncapitest.Contract(t, "ws-service.yaml")
	return &serviceClient{dial(t, s, "/api/ws?"+query), contract}
}

// hear returns the next frame in brief: its type and its data.
func (c *serviceClient) hear() string {
	c.t.Helper()
	m := c.next()
	raw, _ := json.Marshal(m)
	if err := c.contract.Outbound("/api/ws", m["type"].(string), raw); err != nil {
		c.t.Errorf("%s: %v", raw, err)
	}
	data := m["data"].(map[string]any)
	if m["type"] == "error" {
		return "error " + data["code"].(string)
	}
	text, _ := json.Marshal(data)
	return m["type"].(string) + " " + string(text)
}

// told sends a frame and expects frames for it.
func (c *serviceClient) told(send string, want ...string) {
	c.t.Helper()
	c.send(send)
	c.hears(want...)
}

func (c *serviceClient) hears(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.hear(); got != w {
			c.t.Errorf("heard %s\nwant  %s", got, w)
		}
	}
}

// silent proves that nothing waits: the pong is next.
func (c *serviceClient) silent() {
	c.t.Helper()
	c.told(`{"type":"ping","data":{}}`, "pong {}")
}

// closed returns the code that the connection ends with.
func (c *serviceClient) closed() websocket.Status {
	c.t.Helper()
	c.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, text, err := c.ws.ReadMessage()
	var end *websocket.CloseError
	if !errors.As(err, &end) {
		c.t.Fatalf("%s %v", text, err)
	}
	return end.Code
}

func on(channel string) string {
	return fmt.Sprintf(`{"type":"subscribe","data":{"channel":%q}}`, channel)
}

func off(channel string) string {
	return fmt.Sprintf(`{"type":"unsubscribe","data":{"channel":%q}}`, channel)
}

func publish(t *testing.T, s *servertest.Server, messages ...string) {
	t.Helper()
	var answer struct{ Results []struct{ OK bool } }
	s.Do(s.Token("svc", "default", auth.Publisher), "POST", "/api/v1/tenants/default/publish", `{"messages":[`+strings.Join(messages, ",")+`]}`, &answer)
	for _, r := range answer.Results {
		if !r.OK {
			t.Fatal(answer)
		}
	}
}

func TestServiceRefusals(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := dialService(t, s, "token="+s.Token("ann", "default", auth.Member))
	for _, frame := range []string{
		"nonsense", "[]", "{}", `{"type":7}`, `{"type":"dance","data":{}}`, `{"type":"subscribe"}`, `{"type":"subscribe","data":"tenant:default"}`,
		`{"type":"subscribe","data":{"channel":7}}`, on(""), on("tenant"), on(":x"), on("tenant:"), off("tenant"),
		`{"type":"chat_message","data":{"conversation_id":"c"}}`, `{"type":"chat_message","data":{"content":"c"}}`, `{"type":"chat_message","data":{"conversation_id":"c","content":""}}`,
		fmt.Sprintf(`{"type":"chat_message","data":{"conversation_id":%q,"content":"x"}}`, strings.Repeat("x", 129)),
	} {
		c.told(frame, "error invalid_request")
	}
	for _, channel := range []string{
		"tenant:other", "user:bob", "listener:7c9e6679-7425-40de-944b-e07fc1f90ae7", "workflow_run:7c9e6679-7425-40de-944b-e07fc1f90ae7", "workflow_run:x",
		"conversation:" + strings.Repeat("x", 129), "task:" + strings.Repeat("x", 129), "task:a\tb",
	} {
		c.told(on(channel), "error subscription_failed")
	}
	c.silent()
}

func TestServiceWithoutAToken(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, query := range []string{"", "token=nonsense"} {
		c := dialService(t, s, query)
		c.hears("error unauthorized")
		if code := c.closed(); code != 4401 {
			t.Errorf("%q: %d", query, code)
		}
	}
}

func TestServiceEndsWithItsToken(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Auth.Leeway = 0 }})
	id := auth.Identity{User: "ann", Tenants: []auth.Membership{{ID: "default", Role: auth.Member}}}
	c := dialService(t, s, "token="+s.Sign(id, 2*time.Second))
	c.hears("error unauthorized") // and no warning before
	if code := c.closed(); code != 4401 {
		t.Error(code)
	}
}

func TestServiceMessageTooLong(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := dialService(t, s, "token="+s.Token("ann", "default", auth.Member))
	c.told(fmt.Sprintf(`{"type":"chat_message","data":{"conversation_id":"c","content":%q}}`, strings.Repeat("x", 64<<10)), "error invalid_request")
	if code := c.closed(); code != websocket.StatusTooBig {
		t.Error(code)
	}
}

// What is for a user comes unasked, and to nobody else.
func TestServiceUser(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ann, bob := dialService(t, s, "token="+s.Token("ann", "default", auth.Member)), dialService(t, s, "token="+s.Token("bob", "default", auth.Member))
	ann.silent()
	bob.silent()
	publish(t, s, `{"room":"user:default:ann","event":"notification","data":{"message":"for ann","userID":"ann","level":"warning","data":{"n":1}}}`,
		`{"room":"user:default:bob","event":"notification","data":{"message":"for bob"}}`)
	ann.hears(`notification {"data":{"n":1},"level":"warning","message":"for ann"}`)
	bob.hears(`notification {"level":"info","message":"for bob"}`)
	ann.told(off("user:ann"), `unsubscribed {"channel":"user:ann"}`)
	publish(t, s, `{"room":"user:default:ann","event":"notification","data":{"message":"missed"}}`)
	ann.told(on("user:ann"), `subscribed {"channel":"user:ann"}`)
	publish(t, s, `{"room":"user:default:ann","event":"notification","data":{"message":"again"}}`)
	ann.hears(`notification {"level":"info","message":"again"}`)
}

// A user of two tenants hears both, or the one that the address names.
func TestServiceTenants(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Sign(auth.Identity{User: "ann", Tenants: []auth.Membership{{ID: "default", Role: auth.Member}, {ID: "other", Role: auth.Admin}}}, time.Hour)
	both, one := dialService(t, s, "token="+token), dialService(t, s, "org_id=other&token="+token)
	both.told(`{"type":"chat_message","data":{"conversation_id":"c","content":"x"}}`, "error invalid_request") // in which?
	one.told(on("conversation:c"), `subscribed {"channel":"conversation:c"}`)
	publish(t, s, `{"room":"user:default:ann","event":"notification","data":{"message":"x"}}`)
	both.hears(`notification {"level":"info","message":"x"}`)
	one.silent()
	// What is for all of a tenant comes unasked, too.
	publish(t, s, `{"room":"tenant:default","event":"notification","data":{"message":"to all"}}`)
	both.hears(`notification {"level":"info","message":"to all"}`)
	one.silent()
}

// A tenant that is not the user's is refused once, and that is the end: nothing
// could be had there.
func TestServiceForeignTenant(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, query := range []string{"tenant=other&token=", "org_id=nowhere&token="} {
		c := dialService(t, s, query+s.Token("ann", "default", auth.Member))
		m := c.next()
		if data := m["data"].(map[string]any); data["code"] != "unauthorized" || !strings.Contains(data["message"].(string), "tenant") {
			t.Error(m)
		}
		if code := c.closed(); code != 4403 {
			t.Error(code)
		}
	}
}

// A conversation has one name on a connection, so that what is said there comes
// once, and unsubscribing ends all of it.
func TestServiceSecondName(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	c := dialService(t, s, "token="+token)
	c.told(on("conversation:mine"), `subscribed {"channel":"conversation:mine"}`)
	id := chatRooms(t, s, token)[0]
	c.told(on("conversation:"+id), "error subscription_failed")
	c.told(`{"type":"chat_message","data":{"conversation_id":"`+id+`","content":"x"}}`, "error invalid_request")
	c.told(off("conversation:"+id), `unsubscribed {"channel":"conversation:`+id+`"}`)
	c.send(`{"type":"chat_message","data":{"conversation_id":"mine","content":"help"}}`)
	if answer := c.hear(); !strings.Contains(answer, `"conversation_id":"mine"`) {
		t.Error(answer)
	}
	c.told(off("conversation:mine"), `unsubscribed {"channel":"conversation:mine"}`)
	c.told(on("conversation:"+id), `subscribed {"channel":"conversation:`+id+`"}`)
}

// chatRooms returns the ids of the conversations of a user.
func chatRooms(t *testing.T, s *servertest.Server, token string) (ids []string) {
	t.Helper()
	var list struct{ Rooms []struct{ ChatRoomID string } }
	if status := s.Do(token, "GET", "/api/v1/tenants/default/chat/rooms", nil, &list); status != 200 || len(list.Rooms) == 0 {
		t.Fatal(status, list)
	}
	for _, r := range list.Rooms {
		ids = append(ids, r.ChatRoomID)
	}
	return ids
}

// Who is taken out of a conversation is told so. What is said there afterwards
// is refused, and does not get into another one of the same name.
func TestServiceTakenOut(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ann, bob := s.Token("ann", "default", auth.Member), s.Token("bob", "default", auth.Member)
	owner, guest := dialService(t, s, "token="+ann), dialService(t, s, "token="+bob)
	owner.told(on("conversation:ours"), `subscribed {"channel":"conversation:ours"}`)
	id := chatRooms(t, s, ann)[0]
	member := "/api/v1/tenants/default/chat/rooms/" + id + "/members/bob"
	in := func() {
		t.Helper()
		if status := s.Do(ann, "PUT", member, nil, nil); status/100 != 2 {
			t.Fatal(status)
		}
		guest.told(on("conversation:"+id), `subscribed {"channel":"conversation:`+id+`"}`)
	}
	in()
	if status := s.Do(ann, "DELETE", member, nil, nil); status/100 != 2 {
		t.Fatal(status)
	}
	guest.hears(`unsubscribed {"channel":"conversation:` + id + `"}`)
	guest.told(`{"type":"chat_message","data":{"conversation_id":"`+id+`","content":"help"}}`, "error invalid_request")
	in()
	owner.send(`{"type":"chat_message","data":{"conversation_id":"ours","content":"help"}}`)
	guest.hears(`chat_message {"content":"help","conversation_id":"` + id + `","sender_id":"ann"}`)
	answer := guest.hear()
	if status := s.Do(ann, "DELETE", "/api/v1/tenants/default/chat/rooms/"+id, nil, nil); status/100 != 2 {
		t.Fatal(status)
	}
	guest.hears(`unsubscribed {"channel":"conversation:` + id + `"}`)
	owner.hears(strings.Replace(answer, id, "ours", 1), `unsubscribed {"channel":"conversation:ours"}`)
	owner.told(`{"type":"chat_message","data":{"conversation_id":"ours","content":"help"}}`, "error invalid_request")
	owner.told(on("conversation:ours"), `subscribed {"channel":"conversation:ours"}`) // another one
	guest.silent()
}

func TestServiceStatus(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	owner, other := dialService(t, s, "token="+s.Token("ann", "default", auth.Member)), dialService(t, s, "token="+s.Token("bob", "default", auth.Member))
	for _, c := range []*serviceClient{owner, other} {
		for range 2 { // twice is once
			c.told(on("task:t-1"), `subscribed {"channel":"task:t-1"}`)
		}
	}
	other.told(on("agent:a-1"), `subscribed {"channel":"agent:a-1"}`)
	update := func(room, id, status, more string) string {
		return fmt.Sprintf(`{"room":"entity:default:%s","event":"status_update","data":{"entityType":"task","entityID":%q,"status":%q%s}}`, room, id, status, more)
	}
	publish(t, s, update("task:t-1", "t-1", "begun", ""), update("task:t-1", "t-1", "done", `,"ownerID":"ann","data":[1]`), update("task:t-2", "t-2", "done", `,"ownerID":"ann"`),
		`{"room":"agent:default:a-1","event":"agent_status","data":{"agentID":"a-1","status":"idle"}}`)
	begun, done := `status_update {"entity_id":"t-1","entity_type":"task","status":"begun"}`, `status_update {"data":[1],"entity_id":"t-1","entity_type":"task","status":"done"}`
	got := map[string]int{owner.hear(): 1, owner.hear(): 1, owner.hear(): 1} // several rooms: any order
	if len(got) != 3 || got[begun] != 1 || got[done] != 1 || got[`status_update {"entity_id":"t-2","entity_type":"task","status":"done"}`] != 1 {
		t.Errorf("the owner heard %v", got)
	}
	owner.silent()
	got = map[string]int{other.hear(): 1, other.hear(): 1, other.hear(): 1}
	if got[begun] != 1 || got[done] != 1 || got[`status_update {"entity_id":"a-1","entity_type":"agent","status":"idle"}`] != 1 {
		t.Errorf("the other heard %v", got)
	}
	for range 2 {
		other.told(off("task:t-1"), `unsubscribed {"channel":"task:t-1"}`)
	}
	publish(t, s, update("task:t-1", "t-1", "begun", ""))
	other.silent()
}

func TestServiceListenersAndTenants(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	boss := s.Token("boss", "default", auth.Admin)
	var l struct{ ListenerID string }
	s.Do(boss, "POST", "/api/v1/tenants/default/listeners", `{"title":"Prices"}`, &l)
	c := dialService(t, s, "token="+s.Token("ann", "default", auth.Member))
	channel := "listener:" + l.ListenerID
	c.told(on(channel), `subscribed {"channel":"`+channel+`"}`)
	c.told(on("tenant:default"), `subscribed {"channel":"tenant:default"}`)
	if status := s.Do(boss, "POST", "/api/v1/tenants/default/listeners/"+l.ListenerID+"/events", `{"data":{"n":1}}`, nil); status/100 != 2 {
		t.Fatal(status)
	}
	c.hears(`listener_event {"channel":"` + channel + `","data":{"n":1},"limit":1000,"mode":"replace"}`)
	publish(t, s, `{"room":"tenant:default","event":"notification","data":{"message":"to all"}}`,
		`{"room":"tenant:default","event":"sync_update","data":{"type":"agent","entityID":"a","version":1,"updatedAt":"2026-01-02T10:17:25Z"}}`) // it has no words for that
	c.hears(`notification {"level":"info","message":"to all"}`)
	c.told(off(channel), `unsubscribed {"channel":"`+channel+`"}`)
	c.told(off("tenant:default"), `unsubscribed {"channel":"tenant:default"}`)
	publish(t, s, `{"room":"tenant:default","event":"notification","data":{"message":"to all"}}`)
	c.silent()
}

// Everybody hears everybody, and nobody oneself.
func TestServiceChat(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	one, two := dialService(t, s, "token="+token), dialService(t, s, "token="+token)
	two.told(on("conversation:conv-123"), `subscribed {"channel":"conversation:conv-123"}`)
	one.send(`{"type":"chat_message","data":{"conversation_id":"conv-123","content":"Hello <there>!","sender_id":"eve"}}`)
	two.hears(`chat_message {"content":"Hello \u003cthere\u003e!","conversation_id":"conv-123","sender_id":"ann"}`)
	answer := two.hear()
	if !strings.HasPrefix(answer, "chat_message ") || !strings.Contains(answer, `"sender_id":"assistant"`) {
		t.Fatal(answer)
	}
	one.hears(answer)
	one.silent()
	two.silent()
	// The same conversation of another user is another.
	bob := dialService(t, s, "token="+s.Token("bob", "default", auth.Member))
	bob.told(on("conversation:conv-123"), `subscribed {"channel":"conversation:conv-123"}`)
	one.told(off("conversation:conv-123"), `unsubscribed {"channel":"conversation:conv-123"}`)
	two.send(`{"type":"chat_message","data":{"conversation_id":"conv-123","content":"help"}}`)
	two.hear() // the answer
	one.silent()
	bob.silent()
	one.told(on("conversation:conv-123"), `subscribed {"channel":"conversation:conv-123"}`)
	two.send(`{"type":"chat_message","data":{"conversation_id":"conv-123","content":"help"}}`)
	one.hears(`chat_message {"content":"help","conversation_id":"conv-123","sender_id":"ann"}`)
}

const sum = `{"title":"Sum","definition":{"nodes":[{"id":"start","type":"start","data":{}},
	{"id":"ask","type":"dataCollection","data":{"title":"How many?","outputVariable":"asked","formSchema":{"type":"object","properties":{"n":{"type":"number"}}}}},
	{"id":"end","type":"end","data":{"outputParameters":[{"name":"n","sourceVariable":"asked.n"}]}}],
	"edges":[{"id":"1","source":"start","target":"ask"},{"id":"2","source":"ask","target":"end"}]}}`

func TestServiceRuns(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ann, boss := s.Token("ann", "default", auth.Member), s.Token("boss", "default", auth.Admin)
	const base = "/api/v1/tenants/default/workflows"
	var w struct{ WorkflowID string }
	if status := s.Do(boss, "POST", base, sum, &w); status != 201 {
		t.Fatal(status)
	}
	starter, follower, entity := dialService(t, s, "token="+ann), dialService(t, s, "token="+boss), dialService(t, s, "token="+ann)
	starter.silent()
	var run struct{ InstanceID string }
	s.Do(ann, "POST", base+"/"+w.WorkflowID+"/execute", `{}`, &run)
	channel := "workflow_run:" + run.InstanceID
	follower.send(on(channel))
	entity.send(on(channel))
	var waiting struct {
		WaitingFor struct {
			CollectionRequestID string `json:"collection_request_id"`
			Title               string
		} `json:"waiting_for"`
	}
	for subscribed := false; waiting.WaitingFor.Title == "" || !subscribed; {
		heard := follower.hear()
		subscribed = subscribed || heard == `subscribed {"channel":"`+channel+`"}`
		var update struct{ Data json.RawMessage }
		if text, ok := strings.CutPrefix(heard, "status_update "); ok && strings.Contains(text, "waiting_for") {
			json.Unmarshal([]byte(text), &update)
			json.Unmarshal(update.Data, &waiting)
		}
	}
	if waiting.WaitingFor.Title != "How many?" {
		t.Fatal(waiting)
	}
	for !strings.HasPrefix(entity.hear(), "subscribed") {
	}
	entity.send(off(channel))
	for !strings.HasPrefix(entity.hear(), "unsubscribed") {
	}
	answer := fmt.Sprintf(`{"collectionRequestID":%q,"submittedData":{"n":5}}`, waiting.WaitingFor.CollectionRequestID)
	if status := s.Do(ann, "POST", base+"/data-collection", answer, nil); status/100 != 2 {
		t.Fatal(status)
	}
	end := `"entity_id":"` + run.InstanceID + `","entity_type":"workflow_run","status":"COMPLETED"}`
	for heard := ""; !strings.HasSuffix(heard, end); {
		if heard = follower.hear(); strings.HasSuffix(heard, end) && !strings.Contains(heard, `"output":{"n":5}`) {
			t.Error(heard)
		}
	}
	follower.silent()
	if heard := starter.hear(); !strings.HasPrefix(heard, "notification ") || !strings.Contains(heard, waiting.WaitingFor.CollectionRequestID) {
		t.Error(heard) // that it waited
	}
	// Who started it hears of its end, and so does who is not subscribed any more.
	for _, c := range []*serviceClient{starter, entity} {
		c.hears(`status_update {"data":{"title":"Sum","workflowID":"` + w.WorkflowID + `"},` + end)
		c.silent()
	}
	// It can be had again.
	entity.send(on(channel))
	for heard := ""; !strings.HasSuffix(heard, end); {
		heard = entity.hear()
	}
}

func TestServiceWithoutAcks(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.Service.Acks = false }})
	c := dialService(t, s, "token="+s.Token("ann", "default", auth.Member))
	c.send(on("tenant:default"))
	c.send(off("task:t-1"))
	c.silent()
	publish(t, s, `{"room":"tenant:default","event":"notification","data":{"message":"to all"}}`)
	c.hears(`notification {"level":"info","message":"to all"}`)
}

// Every example of what clients send is accepted.
func TestServiceAcceptsItsExamples(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := dialService(t, s, "token="+s.Token("ann", "default", auth.Member))
	for _, m := range asyncapitest.Document(t, "ws-service.yaml").Messages() {
		for _, e := range m.Examples {
			if !m.Inbound {
				continue
			}
			c.send(string(e))
			c.send(`{"type":"ping","data":{}}`)
			for heard := ""; heard != "pong {}"; {
				if heard = c.hear(); strings.HasPrefix(heard, "error") {
					t.Errorf("%s: %s", e, heard)
				}
			}
		}
	}
	// And the document is there to be read.
	resp, text := s.Send("", "GET", "/asyncapi/ws-service.yaml", nil, io.LimitReader(strings.NewReader(""), 0))
	if resp.StatusCode != 200 || string(text) != string(asyncapi.Dialects()["ws-service.yaml"]) {
		t.Errorf("%d %.100s", resp.StatusCode, text)
	}
}

// Messages and answers overtake each other on their way to the room: they come
// once and in the order of the conversation anyway.
func TestServiceChatAtSpeed(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	one, two := dialService(t, s, "token="+token), dialService(t, s, "token="+token)
	two.told(on("conversation:c"), `subscribed {"channel":"conversation:c"}`)
	const said = 20
	for n := range said {
		one.send(fmt.Sprintf(`{"type":"chat_message","data":{"conversation_id":"c","content":"number %02d."}}`, n))
	}
	var heard []string
	for range 2 * said {
		heard = append(heard, two.hear())
	}
	next := map[bool]int{}
	for _, h := range heard {
		answer := strings.Contains(h, `"sender_id":"assistant"`)
		if !strings.Contains(h, fmt.Sprintf("number %02d.", next[answer])) {
			t.Fatalf("in %s", strings.Join(heard, "\n"))
		}
		next[answer]++
	}
	two.silent()
}

// What one server publishes, and what is said there, is heard on another.
func TestServiceAcrossServers(t *testing.T) {
	url, data, net := postgrestest.URL(t), t.TempDir(), clustertest.New(true)
	var servers [2]*servertest.Server
	for i := range servers {
		servers[i] = servertest.Start(t, servertest.Options{Bus: net.Bus(), Data: data, Change: func(c *config.Config) {
			c.Store.Driver, c.Store.URL = config.Postgres, config.Secret(url)
		}})
		eventually.True(t, func() bool { return servers[i].Do("", "GET", "/health/ready", nil, nil) == 200 })
	}
	token := servers[0].Token("ann", "default", auth.Member)
	here, there := dialService(t, servers[0], "token="+token), dialService(t, servers[1], "token="+token)
	for _, c := range []*serviceClient{here, there} {
		c.told(on("conversation:c"), `subscribed {"channel":"conversation:c"}`)
		c.told(on("task:t-1"), `subscribed {"channel":"task:t-1"}`)
	}
	here.send(`{"type":"chat_message","data":{"conversation_id":"c","content":"help"}}`)
	there.hears(`chat_message {"content":"help","conversation_id":"c","sender_id":"ann"}`)
	if answer := there.hear(); here.hear() != answer {
		t.Error(answer)
	}
	publish(t, servers[1], `{"room":"entity:default:task:t-1","event":"status_update","data":{"entityType":"task","entityID":"t-1","status":"done","ownerID":"ann"}}`,
		`{"room":"user:default:ann","event":"notification","data":{"message":"x"}}`)
	for _, c := range []*serviceClient{here, there} {
		got := map[string]bool{c.hear(): true, c.hear(): true}
		if !got[`status_update {"entity_id":"t-1","entity_type":"task","status":"done"}`] || !got[`notification {"level":"info","message":"x"}`] {
			t.Error(got)
		}
		c.silent()
	}
}
