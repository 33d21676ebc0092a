package rawws_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/websocket"
)

const workflowsPath = "/api/v1/tenants/default/workflows"

// short is a workflow that is over at once, and slow one that takes a moment;
// asking waits for a person, and failing fails.
const (
	short = `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"t","type":"transform","data":{"expression":"input.n + 1","outputVariable":"m"}},` +
		`{"id":"e","type":"end","data":{"outputParameters":[{"name":"m","sourceVariable":"m"}]}}],` +
		`"edges":[{"source":"s","target":"t"},{"source":"t","target":"e"}],"workflowOptions":{"args":[{"key":"n","type":"number","defaultValue":1}]}}`
	slow   = `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"d","type":"delay","data":{"delayType":"fixed","delayMs":50}}],"edges":[{"source":"s","target":"d"}]}`
	asking = `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"q","type":"dataCollection","data":{"title":"?","formSchema":{"type":"object"},"outputVariable":"a"}}],` +
		`"edges":[{"source":"s","target":"q"}]}`
	failing = `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"t","type":"transform","data":{"expression":"missing.field.of + nothing"}}],"edges":[{"source":"s","target":"t"}]}`
)

// define stores a workflow under an id of its own.
func define(t *testing.T, s *servertest.Server, id, definition string) {
	t.Helper()
	var answer any
	if status := s.Do(s.Token("boss", "default", auth.Admin), "PUT", workflowsPath+"/"+id, definition, &answer); status/100 != 2 {
		t.Fatal(status, answer)
	}
}

func genesis(t *testing.T, s *servertest.Server, user string) *client {
	t.Helper()
	c := dial(t, s, "/ws/genesis?token="+s.Token(user, "default", auth.Member))
	c.heard = asDocumented(t, "ws-genesis.yaml", "/ws/genesis")
	return c
}

// asDocumented returns what checks that messages are as a document says.
func asDocumented(t *testing.T, file, channel string) func(text []byte) {
	t.Helper()
	contract := asyncapitest.Contract(t, file)
	return func(text []byte) {
		var m struct{ Type string }
		json.Unmarshal(text, &m)
		if err := contract.Outbound(channel, m.Type, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// subscribe subscribes, and waits until that has happened.
func (c *client) subscribe(channels ...string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"type":"subscribe","payload":{"channels":["%s"]},"correlationId":"sub"}`, strings.Join(channels, `","`)))
	if m := c.next(); m["type"] != "subscribed" || m["correlationId"] != "sub" {
		c.t.Fatal(m)
	}
}

// nothing checks that a client has nothing to read, which is so when the answer
// to a ping comes next.
func (c *client) nothing() {
	c.t.Helper()
	c.send(`{"type":"ping","timestamp":1}`)
	if m := c.next(); m["type"] != "pong" {
		c.t.Errorf("unexpected %v", m)
	}
}

func payload(m map[string]any) map[string]any {
	p, _ := m["payload"].(map[string]any)
	return p
}

// story is what was said of runs: the types, and the nodes.
func story(all []map[string]any) string {
	var list []string
	for _, m := range all {
		word := m["type"].(string)
		if node, ok := payload(m)["nodeId"]; ok {
			word = node.(string)
		}
		list = append(list, word)
	}
	return strings.Join(list, " ")
}

// run reads all of one run, and checks what its frames have in common.
func (c *client) run(last, workflow string, correlation any) []map[string]any {
	c.t.Helper()
	all := c.until(last)
	for _, m := range all {
		at, isNumber := m["timestamp"].(float64)
		if !isNumber || at < 1.6e12 || m["correlationId"] != correlation || payload(m)["workflowId"] != workflow || payload(m)["executionId"] != payload(all[0])["executionId"] {
			c.t.Errorf("%v: correlation %v", m, correlation)
		}
	}
	return all
}

const shortStory = "workflow_started s t e workflow_completed"

func TestGenesis(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "wf-123", short)
	c := genesis(t, s, "ann")
	c.send(`{"type":"execute_workflow","payload":{"workflowId":"wf-123","input":{"n":41}},"correlationId":"req-789"}`)
	all := c.run("workflow_completed", "wf-123", "req-789")
	if got := story(all); got != shortStory {
		t.Error(got)
	}
	if at := payload(all[0])["startedAt"].(float64); time.Since(time.UnixMilli(int64(at))) > time.Minute {
		t.Error(all[0])
	}
	if node := payload(all[2]); node["output"] != 42.0 || node["duration"] != 0.0 {
		t.Error(node)
	}
	if end := payload(all[4]); end["result"].(map[string]any)["m"] != 42.0 || end["duration"].(float64) < 0 {
		t.Error(end)
	}
	// The same correlation id again is another run.
	c.send(`{"type":"execute_workflow","payload":{"workflowId":"wf-123"},"correlationId":"req-789"}`)
	if again := c.run("workflow_completed", "wf-123", "req-789"); payload(again[0])["executionId"] == payload(all[0])["executionId"] {
		t.Error("not another run")
	}
	// Without one there is none, and the UUID of the workflow is as good as its name.
	var w struct{ WorkflowID string }
	s.Do(s.Token("ann", "default", auth.Member), "GET", workflowsPath+"/wf-123", nil, &w)
	c.send(`{"type":"execute_workflow","payload":{"workflowId":"` + w.WorkflowID + `","input":{"n":1}},"timestamp":1730000000000}`)
	if got := story(c.run("workflow_completed", w.WorkflowID, nil)); got != shortStory {
		t.Error(got)
	}
	c.nothing()
}

func TestGenesisEndings(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "bad", failing)
	define(t, s, "slow", slow)
	define(t, s, "asks", asking)
	c := genesis(t, s, "ann")
	c.send(`{"type":"execute_workflow","payload":{"workflowId":"bad","input":null},"correlationId":"1"}`)
	all := c.run("workflow_failed", "bad", "1")
	e := payload(all[len(all)-1])["error"].(map[string]any)
	if story(all) != "workflow_started s workflow_failed" || e["code"] != "EXECUTION_FAILED" || !strings.Contains(e["message"].(string), "node") {
		t.Errorf("%v", all)
	}
	c.send(`{"type":"execute_workflow","payload":{"workflowId":"slow"},"correlationId":"2"}`)
	all = c.run("workflow_completed", "slow", "2")
	if d := payload(all[2])["duration"].(float64); d < 50 || d > payload(all[3])["duration"].(float64)+1 || payload(all[3])["result"] != nil {
		t.Errorf("%v", all)
	}
	for ending, order := range map[string][2]string{"EXECUTION_CANCELLED": {"POST", "cancel"}, "EXECUTION_STOPPED": {"DELETE", "stop"}} {
		c.send(`{"type":"execute_workflow","payload":{"workflowId":"asks"},"correlationId":"3"}`)
		all := c.until("node_completed")
		if status := s.Do(s.Token("boss", "default", auth.Admin), order[0], workflowsPath+"/instances/"+payload(all[0])["executionId"].(string)+"/"+order[1], nil, nil); status != 200 {
			t.Fatal(status)
		}
		if end := c.next(); end["type"] != "workflow_failed" || end["correlationId"] != "3" || payload(end)["error"].(map[string]any)["code"] != ending {
			t.Errorf("%s: %v", ending, end)
		}
	}
}

// A long run, which says more at once than waits for somebody who joins.
func TestGenesisLongRun(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "loop", `{"nodes":[{"id":"s","type":"start","data":{}},{"id":"l","type":"loop","data":{"sourceVariable":"input.items","itemVariable":"x"}},`+
		`{"id":"t","type":"transform","data":{"expression":"ctx.x"}}],"edges":[{"source":"s","target":"l"},{"source":"l","target":"t","sourceHandle":"loop"},{"source":"t","target":"l"}]}`)
	asks, hears := genesis(t, s, "ann"), genesis(t, s, "bob")
	hears.subscribe("workflow:loop")
	const items = 1000
	var list []string
	for i := range items {
		list = append(list, fmt.Sprint(i))
	}
	asks.send(`{"type":"execute_workflow","payload":{"workflowId":"loop","input":{"items":[` + strings.Join(list, ",") + `]}},"correlationId":"c"}`)
	for c, correlation := range map[*client]any{asks: "c", hears: nil} {
		var got []string
		for _, m := range c.run("workflow_completed", "loop", correlation) {
			if payload(m)["nodeId"] == "t" {
				got = append(got, fmt.Sprint(payload(m)["output"]))
			}
		}
		if !slices.Equal(got, list) {
			t.Errorf("%d items, or another order: %.20v …", len(got), got[:min(len(got), 20)])
		}
		c.nothing()
	}
}

// Who is subscribed gets every run of a workflow, whoever has started it, once.
func TestGenesisSubscribers(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "wf-123", short)
	ann, bob, eve := genesis(t, s, "ann"), genesis(t, s, "bob"), genesis(t, s, "eve")
	ann.subscribe("workflow:wf-123", "workflow:wf-123")
	bob.subscribe("workflow:wf-123")
	for i := range 20 {
		ann.send(fmt.Sprintf(`{"type":"execute_workflow","payload":{"workflowId":"wf-123","input":{"n":%d}},"correlationId":"req-%d"}`, i, i))
		if got := story(ann.run("workflow_completed", "wf-123", fmt.Sprint("req-", i))); got != shortStory {
			t.Fatal(got)
		}
		if got := story(bob.run("workflow_completed", "wf-123", nil)); got != shortStory {
			t.Fatal(got)
		}
	}
	// A run that began over REST.
	s.Do(s.Token("boss", "default", auth.Admin), "POST", workflowsPath+"/wf-123/execute", `{}`, nil)
	for _, c := range []*client{ann, bob} {
		if got := story(c.run("workflow_completed", "wf-123", nil)); got != shortStory {
			t.Fatal(got)
		}
	}
	bob.send(`{"type":"unsubscribe","payload":{"channels":["workflow:wf-123"]},"correlationId":"un"}`)
	if m := bob.next(); m["type"] != "unsubscribed" || m["correlationId"] != "un" {
		t.Error(m)
	}
	eve.send(`{"type":"execute_workflow","payload":{"workflowId":"wf-123"}}`)
	eve.run("workflow_completed", "wf-123", nil)
	ann.run("workflow_completed", "wf-123", nil)
	for _, c := range []*client{ann, bob, eve} {
		c.nothing()
	}
}

// A run that is under way is told from its beginning, and one that is over is
// not.
func TestGenesisComesLate(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "asks", asking)
	var over, waits struct{ InstanceID string }
	boss := s.Token("boss", "default", auth.Admin)
	s.Do(boss, "POST", workflowsPath+"/asks/execute", `{}`, &over)
	s.Do(boss, "DELETE", workflowsPath+"/instances/"+over.InstanceID+"/stop", nil, nil)
	s.Do(boss, "POST", workflowsPath+"/asks/execute", `{}`, &waits)
	c := genesis(t, s, "ann")
	c.subscribe("workflow:asks")
	if all := c.run("node_completed", "asks", nil); story(all) != "workflow_started s" || payload(all[0])["executionId"] != waits.InstanceID {
		t.Errorf("%v", all)
	}
	s.Do(boss, "DELETE", workflowsPath+"/instances/"+waits.InstanceID+"/stop", nil, nil)
	if end := c.next(); end["type"] != "workflow_failed" || payload(end)["executionId"] != waits.InstanceID {
		t.Error(end)
	}
	c.nothing()
}

// However many runs are under way, all of those that were asked for come, and
// the client is answered meanwhile.
func TestGenesisManyUnderWay(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Workflow.RunsPerTenant = 5000 }})
	const workflows, runs = 11, 100
	boss, under := s.Token("boss", "default", auth.Admin), map[any]bool{}
	var channels []string
	for w := range workflows {
		name := fmt.Sprint("asks-", w)
		define(t, s, name, asking)
		channels = append(channels, `"workflow:`+name+`"`)
		for range runs {
			var run struct{ InstanceID string }
			s.Do(boss, "POST", workflowsPath+"/"+name+"/execute", `{}`, &run)
			under[run.InstanceID] = true
		}
	}
	c := genesis(t, s, "ann")
	c.send(`{"type":"subscribe","payload":{"channels":[` + strings.Join(channels, ",") + `]}}`)
	c.send(`{"type":"ping","timestamp":1}`)
	before := -1
	for n := 0; len(under) > 0; n++ {
		switch m := c.next(); m["type"] {
		case "pong":
			before = n
		case "node_completed":
			delete(under, payload(m)["executionId"])
		case "workflow_started":
		default:
			t.Fatal(m)
		}
	}
	if before < 0 || before > workflows*runs {
		t.Errorf("the ping was answered after %d frames", before)
	}
}

// A client that does not read while many runs end gets all of them.
func TestGenesisReadsLate(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "wf", short)
	c := genesis(t, s, "ann")
	c.subscribe("workflow:wf")
	const runs = 90
	for i := range runs {
		c.send(fmt.Sprintf(`{"type":"execute_workflow","payload":{"workflowId":"wf","input":{"n":%d}},"correlationId":"%d"}`, i, i))
	}
	heard := map[any][]map[string]any{}
	for ends := 0; ends < runs; {
		m := c.next()
		heard[m["correlationId"]] = append(heard[m["correlationId"]], m)
		if m["type"] == "workflow_completed" {
			ends++
		}
	}
	for i := range runs {
		if got := story(heard[fmt.Sprint(i)]); got != shortStory {
			t.Errorf("run %d: %s", i, got)
		}
	}
	c.nothing()
}

func TestGenesisRefusals(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	define(t, s, "wf-123", short)
	c := genesis(t, s, "ann")
	long := strings.Repeat("x", 129)
	for _, tt := range []struct{ frame, code, correlation, field string }{
		{`nonsense`, "INVALID_MESSAGE", "", ""},
		{`[]`, "INVALID_MESSAGE", "", ""},
		{`{}`, "INVALID_MESSAGE", "", "type"},
		{`{"type":7,"correlationId":"a"}`, "INVALID_MESSAGE", "a", "type"},
		{`{"type":"ping","correlationId":7}`, "INVALID_MESSAGE", "", "correlationId"},
		{`{"type":"ping","correlationId":"` + long + `"}`, "INVALID_MESSAGE", "", "correlationId"},
		{`{"type":"HELLO","correlationId":"a"}`, "UNKNOWN_TYPE", "a", ""},
		{`{"type":"subscribe","correlationId":"a"}`, "INVALID_MESSAGE", "a", "payload.channels"},
		{`{"type":"subscribe","payload":{"channels":"workflow:wf-123"}}`, "INVALID_MESSAGE", "", "payload.channels"},
		{`{"type":"unsubscribe","payload":{"channels":["a",7]}}`, "INVALID_MESSAGE", "", "payload.channels[1]"},
		{`{"type":"execute_workflow","correlationId":"a"}`, "INVALID_MESSAGE", "a", "payload"},
		{`{"type":"execute_workflow","payload":{"workflowId":7}}`, "INVALID_MESSAGE", "", "payload.workflowId"},
		{`{"type":"execute_workflow","payload":{"workflowId":"` + long + `"}}`, "INVALID_MESSAGE", "", "payload.workflowId"},
		{`{"type":"execute_workflow","payload":{"workflowId":"wf-123","input":[1]},"correlationId":"a"}`, "INVALID_MESSAGE", "a", "payload.input"},
		{`{"type":"execute_workflow","payload":{"workflowId":"wf-123","input":{"n":"x"}},"correlationId":"a"}`, "INVALID_MESSAGE", "a", "payload.input.n"},
		{`{"type":"execute_workflow","payload":{"workflowId":"wf-124"},"correlationId":"a"}`, "WORKFLOW_NOT_FOUND", "a", ""},
		{`{"type":"execute_workflow","payload":{"workflowId":"9f1b6a1e-0d9c-4d53-9a52-5a3e8f5f3a10"},"correlationId":"a"}`, "WORKFLOW_NOT_FOUND", "a", ""},
	} {
		c.send(tt.frame)
		m := c.next()
		details, _ := payload(m)["details"].(map[string]any)
		field, _ := details["field"].(string)
		correlation, _ := m["correlationId"].(string)
		if m["type"] != "error" || payload(m)["code"] != tt.code || correlation != tt.correlation || field != tt.field {
			t.Errorf("%s: %v", tt.frame, m)
		}
	}
	// What can be had of several channels is.
	c.send(`{"type":"subscribe","payload":{"channels":["workflow:wf-123","workflow:wf-124","sync:bob","notifications:bob","agent:","nothing","tenant:default","sync:ann"]},"correlationId":"s"}`)
	if m := c.next(); m["type"] != "subscribed" || fmt.Sprint(payload(m)["channels"]) != "[workflow:wf-123 sync:ann]" {
		t.Error(m)
	}
	m := c.next()
	refused := payload(m)["details"].(map[string]any)["channels"].([]any)
	if m["correlationId"] != "s" || payload(m)["code"] != "SUBSCRIPTION_FAILED" || len(refused) != 6 || refused[0].(map[string]any)["channel"] != "workflow:wf-124" {
		t.Error(m)
	}
	// One who may not execute is told so, and another tenant knows of nothing.
	publisher := dial(t, s, "/ws/genesis?token="+s.Token("svc", "default", auth.Publisher))
	other := dial(t, s, "/ws/genesis?token="+s.Token("eve", "other", auth.Admin))
	for _, c := range []*client{publisher, other} {
		c.send(`{"type":"execute_workflow","payload":{"workflowId":"wf-123"}}`)
		if m := c.next(); payload(m)["code"] != "WORKFLOW_NOT_FOUND" {
			t.Error(m)
		}
		c.send(`{"type":"subscribe","payload":{"channels":["workflow:wf-123"]}}`)
		if m := c.next(); payload(m)["code"] != "SUBSCRIPTION_FAILED" {
			t.Error(m)
		}
	}
}

func TestGenesisPing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx, token := t.Context(), s.Token("ann", "default", auth.Member)
	for _, path := range []string{"/ws/genesis", "/ws"} {
		ws, _, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+path, http.Header{"Authorization": {"Bearer " + token}, "X-Agent-Id": {"agent-7"}})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		for ping, pong := range map[string]string{
			`{"type":"ping","timestamp":1730000000000}`:           `"timestamp":1730000000000}`,
			`{"type":"ping","timestamp":-0.50e+3}`:                `"timestamp":-0.50e+3}`,
			`{"type":"ping","timestamp":12345678901234567890123}`: `"timestamp":12345678901234567890123}`,
		} {
			ws.WriteMessage(websocket.OpText, []byte(ping))
			if _, text, err := ws.ReadMessage(); err != nil || !strings.HasPrefix(string(text), `{"type":"pong",`) || !strings.HasSuffix(string(text), pong) {
				t.Errorf("%s: %s %s, %v", path, ping, text, err)
			}
		}
	}
	c := genesis(t, s, "ann")
	c.send(`{"type":"ping","correlationId":"p"}`)
	if m := c.next(); m["correlationId"] != "p" || time.Since(time.UnixMilli(int64(m["timestamp"].(float64)))) > time.Minute {
		t.Error(m)
	}
}

func TestGenesisAuthentication(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, query := range []string{"", "?token=bad", "?token=" + s.Sign(auth.Identity{User: "ann"}, -time.Hour)} {
		_, res, err := websocket.Dial(t.Context(), strings.Replace(s.URL, "http", "ws", 1)+"/ws/genesis"+query, http.Header{})
		if err == nil || res == nil || res.StatusCode != 401 {
			t.Errorf("%q: %v %v", query, res, err)
		}
	}
	// Where the dialect is known by the first frame only, the refusal is a frame.
	c := dial(t, s, "/ws?token=bad")
	c.send(`{"type":"subscribe","payload":{"channels":["workflow:wf-123"]}}`)
	if m := c.next(); m["type"] != "error" || payload(m)["code"] != "UNAUTHORIZED" {
		t.Error(m)
	}
}

func TestGenesisTooLarge(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := genesis(t, s, "ann")
	c.send(`{"type":"ping","payload":"` + strings.Repeat("x", 64<<10) + `"}`)
	if m := c.next(); payload(m)["code"] != "PAYLOAD_TOO_LARGE" {
		t.Error(m)
	}
	limited := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.Rate, c.WebSocket.Burst = 1, 1 }})
	d := genesis(t, limited, "ann")
	d.send(`{"type":"ping"}`)
	d.send(`{"type":"execute_workflow","payload":{"workflowId":"wf-123"},"correlationId":"req-1"}`)
	d.next()
	if m := d.next(); payload(m)["code"] != "RATE_LIMITED" || m["correlationId"] != "req-1" { // which request it was
		t.Error(m)
	}
}

// A connection may look at any number of workflows, one after the other: a
// session may be in 1000 rooms, and is in none that it has left.
func TestGenesisManyWorkflowsInTurn(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.Rate, c.WebSocket.Burst = 1e6, 1e6 }})
	c := genesis(t, s, "ann")
	for i := range 1001 {
		define(t, s, fmt.Sprint("wf-", i), short)
		c.subscribe(fmt.Sprint("workflow:wf-", i))
		c.send(fmt.Sprintf(`{"type":"unsubscribe","payload":{"channels":["workflow:wf-%d"]}}`, i))
	}
	c.nothing()
}

// The end of the token is told, and ends the connection.
func TestGenesisEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Auth.Leeway = 0 }})
	id := auth.Identity{User: "ann", Tenants: []auth.Membership{{ID: "default", Role: auth.Member}}}
	c := dial(t, s, "/ws/genesis?token="+s.Sign(id, 2*time.Second))
	if m := c.next(); payload(m)["code"] != "UNAUTHORIZED" { // and no warning before
		t.Error(m)
	}
	c.ended(4401)
}

// What back ends publish for users and about agents.
func TestGenesisChannels(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ann, bob := genesis(t, s, "ann"), genesis(t, s, "bob")
	ann.subscribe("sync:ann", "agent:agent-7")
	bob.subscribe("notifications:bob", "agent:agent-8")
	publish := func(room, event, data string) {
		var answer any
		body := fmt.Sprintf(`{"room":%q,"event":%q,"data":%s}`, room, event, data)
		if status := s.Do(s.Token("svc", "default", auth.Publisher), "POST", "/api/v1/tenants/default/publish", body, &answer); status != 200 {
			t.Fatal(status, answer)
		}
	}
	const sync = `{"type":"settings","entityID":"theme","version":7,"updatedAt":"2026-01-02T10:17:25Z","encryptedData":"q8s="}`
	for _, user := range []string{"ann", "bob"} {
		publish("user:default:"+user, "sync_update", sync)
		publish("user:default:"+user, "notification", `{"userID":"`+user+`","message":"hello","level":"info","data":{"n":1}}`)
	}
	publish("agent:default:agent-7", "notification", `{"message":"not for a user"}`)
	publish("tenant:default", "notification", `{"message":"for all"}`)
	publish("tenant:default", "sync_update", sync) // of nobody's
	publish("agent:default:agent-7", "agent_status", `{"agentID":"agent-7","status":"working"}`)
	for _, tt := range []struct {
		c             *client
		kind, payload string
	}{
		{ann, "sync_update", "map[encryptedData:q8s= entityId:theme type:settings updatedAt:1.767349045e+12 version:7]"},
		{ann, "agent_status", "map[agentId:agent-7 status:working]"},
		{bob, "notification", "map[data:map[n:1] level:info message:hello userId:bob]"},
		{bob, "notification", "map[message:for all]"},
	} {
		if m := tt.c.next(); m["type"] != tt.kind || fmt.Sprint(payload(m)) != tt.payload {
			t.Errorf("%v", m)
		}
	}
	ann.send(`{"type":"unsubscribe","payload":{"channels":["sync:ann","agent:agent-7","workflow:never"]},"correlationId":"u"}`)
	ann.next()
	bob.send(`{"type":"unsubscribe","payload":{"channels":["notifications:bob"]},"correlationId":"u"}`)
	bob.next()
	publish("tenant:default", "notification", `{"message":"for all"}`)
	publish("user:default:ann", "sync_update", sync)
	publish("agent:default:agent-7", "agent_status", `{"agentID":"agent-7","status":"idle"}`)
	ann.nothing()
	bob.nothing()
}

// Clients on two servers, and runs on both.
func TestGenesisOnTwoServers(t *testing.T) {
	url, data, net := postgrestest.URL(t), t.TempDir(), clustertest.New(true)
	var servers []*servertest.Server
	for range 2 {
		servers = append(servers, servertest.Start(t, servertest.Options{Bus: net.Bus(), Data: data, Change: func(c *config.Config) {
			c.Store.Driver, c.Store.URL = config.Postgres, config.Secret(url)
		}}))
	}
	define(t, servers[0], "wf-123", short)
	var clients []*client
	for _, s := range servers {
		c := genesis(t, s, "ann")
		c.subscribe("workflow:wf-123")
		clients = append(clients, c)
	}
	for i := range 10 {
		asks, hears := clients[i%2], clients[1-i%2]
		asks.send(`{"type":"execute_workflow","payload":{"workflowId":"wf-123"},"correlationId":"mine"}`)
		mine, theirs := asks.run("workflow_completed", "wf-123", "mine"), hears.run("workflow_completed", "wf-123", nil)
		if story(mine) != shortStory || story(theirs) != shortStory || payload(mine[0])["executionId"] != payload(theirs[0])["executionId"] {
			t.Fatalf("%v\n%v", mine, theirs)
		}
	}
	for _, c := range clients {
		c.nothing()
	}
}
