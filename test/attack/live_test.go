package attack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// field returns a text in a JSON object.
func field(raw []byte, name string) string {
	var m map[string]any
	json.Unmarshal(raw, &m)
	s, _ := m[name].(string)
	return s
}

// open enters a namespace with a credential that is good.
func (w *world) open(namespace, credential string) *client {
	w.t.Helper()
	c := dial(w.t, w.Server, namespace)
	w.t.Cleanup(func() { c.Close() })
	if code := c.enter(map[string]any{"token": credential}); code != "" {
		w.t.Fatalf("%s was not let in: %s", namespace, code)
	}
	return c
}

// ended waits until a session was told why it ends, and has ended.
func (c *client) ended(code events.Code) {
	c.t.Helper()
	if p := c.next("auth_ended"); !strings.Contains(p, `"code":"`+string(code)+`"`) {
		c.t.Errorf("ended with %s, want %s", p, code)
	}
	c.next("")
}

// What is revoked while it is connected is put out of every namespace and
// dialect, and gets in nowhere any more.
func TestRevokedWhileConnected(t *testing.T) {
	w := newWorld(t)
	ops := w.hmac(jwt.MapClaims{"sub": "ops", "permissions": []string{"server:operate"}})
	past := time.Now().Unix() - 5
	var key struct{ KeyID, APIKey string }
	w.Do(w.as("ada", "default", auth.Admin), "POST", "/api/v1/tenants/default/api-keys", `{"name":"k","role":"ADMIN"}`, &key)
	for _, tt := range []struct {
		name, credential, kind, id string
		after                      events.Code
	}{
		{"a token", w.hmac(jwt.MapClaims{"jti": "stolen"}), "token", "stolen", events.CodeCredentialRevoked},
		{"a user", w.hmac(jwt.MapClaims{"sub": "eve", "iat": past}), "user", "eve", events.CodeCredentialRevoked},
		{"a user of another issuer", w.ed.Sign(t, claims(setIssuer, jwt.MapClaims{"sub": "eva", "iat": past})), "user", "eva", events.CodeCredentialRevoked},
		{"a user whose token has no iat", w.hmac(jwt.MapClaims{"sub": "evi", "iat": nil}), "user", "evi", events.CodeCredentialRevoked},
		{"a user whose issuer has a clock that is ahead", w.hmac(jwt.MapClaims{"sub": "evo", "iat": past + 25}), "user", "evo", events.CodeCredentialRevoked},
		{"a key", key.APIKey, "key", key.KeyID, events.CodeCredentialRevoked},
	} {
		var speakers []speaker
		for _, x := range dialects(w.Server) {
			c, said, refused := x.(dialect).present(t, tt.credential, "")
			if refused != "" || said.refuses() {
				t.Fatalf("%s, %s: not let in: %s %s", x.name(), tt.name, refused, said.text())
			}
			speakers = append(speakers, c)
		}
		root, monitor, bystander := w.open("/", tt.credential), w.open("/monitor", tt.credential), w.open("/", w.as("bob", "default", auth.Member))
		if status := w.Do(ops, "POST", "/api/v1/revocations", map[string]any{"kind": tt.kind, "id": tt.id}, nil); status != 201 {
			t.Fatalf("%s: %d", tt.name, status)
		}
		root.ended(events.CodeCredentialRevoked)
		monitor.ended(events.CodeCredentialRevoked)
		for i, c := range speakers {
			if said := c.next(); !said.refuses() {
				t.Errorf("%s, %s: %+v", dialects(w.Server)[i].name(), tt.name, said)
			}
			c.ended(4401)
			c.Close()
		}
		for _, x := range transports(w.Server) {
			if code := x.knock(t, tt.credential); code != tt.after {
				t.Errorf("%s, %s: %q", x.name(), tt.name, code)
			}
		}
		if _, code := bystander.call("join_tenant", "default"); code != "" {
			t.Errorf("%s: a bystander got %s", tt.name, code)
		}
	}
}

// A connection whose dialect is not known yet has no session to end: what it
// says first comes too late.
func TestRevokedBeforeTheFirstFrame(t *testing.T) {
	w := newWorld(t)
	ops := w.hmac(jwt.MapClaims{"sub": "ops", "permissions": []string{"server:operate"}})
	stolen := w.hmac(jwt.MapClaims{"sub": "eve", "jti": "stolen"})
	late := map[string]speaker{
		`{"type":"message","session_id":"s","content":"late"}`:                    dialDialect(t, w.Server, "/ws?bot_name=b", stolen),
		`{"type":"chat_message","data":{"conversation_id":"c","content":"late"}}`: dialDialect(t, w.Server, "/ws", stolen),
	}
	if status := w.Do(ops, "POST", "/api/v1/revocations", map[string]any{"kind": "token", "id": "stolen"}, nil); status != 201 {
		t.Fatal(status)
	}
	for frame, c := range late {
		c.send(frame)
		if said := c.next(); !said.refuses() {
			t.Errorf("%s: %+v", frame, said)
		}
		c.ended(4401)
	}
	var list struct{ Rooms []json.RawMessage }
	if status := w.Do(w.hmac(jwt.MapClaims{"sub": "eve"}), "GET", "/api/v1/tenants/default/chat/rooms", nil, &list); status != 200 || len(list.Rooms) > 0 {
		t.Errorf("%d, conversations: %s", status, list.Rooms)
	}
}

// A session whose user has lost a role, or a tenant, loses what it takes.
func TestDowngradedWhileConnected(t *testing.T) {
	w := newWorld(t)
	b := w.belongings()
	c := w.open("/", w.as("bob", "default", auth.Admin))
	for event, payload := range map[string]any{"join_tenant": "default", "workflow_run_join": map[string]any{"runId": b.run}, "join_room": "listener:" + b.listener} {
		if _, code := c.call(event, payload); code != "" {
			t.Fatalf("%s: %s", event, code)
		}
	}
	if _, code := c.call("widget_workflow_connect", map[string]any{"widgetID": b.widget, "mode": "subscribe", "instanceID": b.run}); code != "" {
		t.Fatal(code)
	}
	ack, _ := c.call("ai_chat_room_join", map[string]any{"tenantID": "default"})
	chat := field(ack, "chatRoomID")
	// Less of a role, but still of the tenant: nothing is lost.
	ack, code := c.call("auth_refresh", map[string]any{"token": w.as("bob", "default", auth.Member)})
	if code != "" || !strings.Contains(string(ack), `"left":[]`) {
		t.Errorf("a member: %s", ack)
	}
	// Out of the tenant: out of everything that is there.
	ack, code = c.call("auth_refresh", map[string]any{"token": w.as("bob", "other", auth.Admin)})
	var out struct{ Left []string }
	json.Unmarshal(ack, &out)
	want := []string{b.run, "listener:" + b.listener, "tenant:default", "widget:" + b.widget, chat}
	if code != "" || len(out.Left) != len(want) {
		t.Errorf("elsewhere: %s, want %v", ack, want)
	}
	for _, room := range want {
		if !strings.Contains(fmt.Sprint(out.Left), room) {
			t.Errorf("still in %s", room)
		}
	}
	c.next("widget_workflow_disconnected")
	admin := w.as("ada", "default", auth.Admin)
	w.Do(admin, "POST", "/api/v1/tenants/default/listeners/"+b.listener+"/events", `{"data":"secret"}`, nil)
	w.Do(admin, "POST", "/api/v1/tenants/default/workflows/data-collection", map[string]any{"collectionRequestID": b.request, "submittedData": map[string]any{"approved": true}}, nil)
	if _, code := c.call("workflow_run_join", map[string]any{"runId": b.run}); code != events.CodeNotFound {
		t.Errorf("the run: %q", code)
	}
	for _, p := range c.heard {
		if strings.Contains(p, "listener_event") || strings.Contains(p, `"status":"COMPLETED"`) {
			t.Errorf("heard %s", p)
		}
	}
	// Back in the tenant: the run can be followed anew, from its beginning.
	if ack, code := c.call("auth_refresh", map[string]any{"token": w.as("bob", "default", auth.Member)}); code != "" {
		t.Fatalf("back: %s", ack)
	}
	if _, code := c.call("workflow_run_join", map[string]any{"runId": b.run}); code != "" {
		t.Errorf("the run again: %s", code)
	}
	c.next("workflow_node_update")
	c.next("workflow_status_update")
	if _, code := c.call("ai_chat_user_message", map[string]any{"chatRoomID": chat, "message": "hi"}); code != "" {
		t.Errorf("the conversation again: %s", code)
	}
	c.next("ai_chat_bot_message")

	m := w.open("/monitor", w.as("ann", "default", auth.Admin))
	if _, code := m.call("auth_refresh", map[string]any{"token": w.as("ann", "default", auth.Member)}); code != events.CodePermissionDenied {
		t.Errorf("/monitor as a member: %q", code)
	}
	m.ended(events.CodePermissionDenied)
}

// A renewal may not be used to become somebody else, and one that fails leaves
// the session as it was.
func TestRenewalChangesNothingElse(t *testing.T) {
	w := newWorld(t)
	c := w.open("/", w.as("bob", "default", auth.Member))
	for _, token := range []string{w.as("ada", "default", auth.Admin), w.hmac(jwt.MapClaims{"sub": "bob", "exp": 1}), w.apiKey, "rubbish"} {
		if ack, code := c.call("auth_refresh", map[string]any{"token": token}); code == "" {
			t.Errorf("renewed: %s", ack)
		}
	}
	if _, code := c.call("ai_chat_room_join", map[string]any{"firebaseID": "bob"}); code != "" {
		t.Errorf("no longer bob: %s", code)
	}
	if _, code := c.call("join_tenant", "default"); code != "" {
		t.Errorf("no longer a member: %s", code)
	}
}
