package attack

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// belongings are what exists in tenant default: all but the conversation, which
// is ada's, is anybody's there.
type belongings struct{ workflow, run, chat, widget, listener, key, request string }

func (w *world) belongings() (b belongings) {
	w.t.Helper()
	admin := w.as("ada", "default", auth.Admin)
	const base = "/api/v1/tenants/default"
	var list struct {
		Workflows []struct{ WorkflowID, Title string }
	}
	w.Do(admin, "GET", base+"/workflows", nil, &list)
	for _, wf := range list.Workflows {
		if wf.Title == "Order approval" {
			b.workflow = wf.WorkflowID
		}
	}
	var made struct{ InstanceID, ListenerID, KeyID, WidgetID string }
	w.Do(admin, "POST", base+"/workflows/"+b.workflow+"/execute", `{}`, &made)
	w.Do(admin, "POST", base+"/listeners", `{"title":"L"}`, &made)
	w.Do(admin, "POST", base+"/api-keys", `{"name":"k"}`, &made)
	w.Do(admin, "POST", base+"/workflows/instances/"+made.InstanceID+"/widget", nil, &made)
	b.run, b.listener, b.key, b.widget = made.InstanceID, made.ListenerID, made.KeyID, made.WidgetID
	var run struct {
		Pending []struct{ CollectionRequestID string } `json:"pendingDataCollection"`
	}
	for len(run.Pending) == 0 { // the request's own deadline ends this
		w.Do(admin, "GET", base+"/workflows/instances/"+b.run, nil, &run)
	}
	b.request = run.Pending[0].CollectionRequestID
	c := dial(w.t, w.Server, "/")
	w.t.Cleanup(func() { c.Close() })
	c.enter(map[string]any{"token": admin})
	ack, code := c.call("ai_chat_room_join", map[string]any{})
	if code != "" {
		w.t.Fatal(code)
	}
	b.chat = field(ack, "chatRoomID")
	return b
}

func TestRights(t *testing.T) {
	w := newWorld(t)
	b := w.belongings()
	unknown := uuid.NewString()
	eve := w.as("eve", "other", auth.Admin)        // an administrator, elsewhere
	bob := w.as("bob", "default", auth.Member)     // of the tenant, but another user
	ada := w.as("ada", "other", auth.Admin)        // the user whose things they are, in another tenant
	none := w.hmac(map[string]any{"tenants": nil}) // in no tenant
	ops := w.hmac(map[string]any{"sub": "ops", "tenants": nil, "permissions": []string{"server:operate"}})
	const base, other = "/api/v1/tenants/default", "/api/v1/tenants/other"
	emit := func(event string, payload any) operation { return operation{event: event, payload: payload} }
	request := func(method, path string, body any) operation {
		return operation{method: method, path: path, body: body}
	}
	both := func(a, b operation) operation {
		a.method, a.path, a.body = b.method, b.path, b.body
		return a
	}
	widget := func(more map[string]any) map[string]any {
		m := map[string]any{"widgetID": b.widget}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	const foreign, denied, invalid = events.CodeNotFound, events.CodePermissionDenied, events.CodeValidation
	var n int
	for _, tt := range []struct {
		name, who string
		op        operation
		code      events.Code
	}{
		// Good, so that the others are known to fail for their own sake.
		{"bob follows a run", bob, both(emit("workflow_run_join", map[string]any{"runId": b.run}), request("GET", base+"/workflows/instances/"+b.run, nil)), ""},
		{"bob joins his tenant", bob, emit("join_room", "tenant:default"), ""},
		{"bob joins a workflow", bob, emit("join_room", "workflow:default:"+b.workflow), ""},
		{"bob joins a listener", bob, emit("join_room", "listener:"+b.listener), ""},
		{"bob shows a widget", bob, emit("widget_workflow_connect", widget(map[string]any{"mode": "subscribe", "instanceID": b.run})), ""},

		// Across tenants.
		{"a foreign run", eve, both(emit("workflow_run_join", map[string]any{"runId": b.run}), request("GET", base+"/workflows/instances/"+b.run, nil)), foreign},
		{"a foreign run under one's own tenant", eve, request("GET", other+"/workflows/instances/"+b.run, nil), foreign},
		{"a run of one's own, in another tenant", ada, emit("workflow_run_join", map[string]any{"runId": b.run}), foreign},
		{"a run that does not exist", eve, both(emit("workflow_run_join", map[string]any{"runId": unknown}), request("GET", other+"/workflows/instances/"+unknown, nil)), foreign},
		{"stopping a foreign run", eve, request("DELETE", base+"/workflows/instances/"+b.run+"/stop", nil), foreign},
		{"stopping it under one's own tenant", eve, request("DELETE", other+"/workflows/instances/"+b.run+"/stop", nil), foreign},
		{"running a foreign workflow", eve, both(emit("widget_workflow_connect", map[string]any{"widgetID": unknown, "workflowID": b.workflow}), request("POST", base+"/workflows/"+b.workflow+"/execute", `{}`)), foreign},
		{"running it under one's own tenant", eve, request("POST", other+"/workflows/"+b.workflow+"/execute", `{}`), foreign},
		{"reading a foreign workflow", eve, request("GET", other+"/workflows/"+b.workflow, nil), foreign},
		{"exporting a foreign workflow", eve, request("POST", other+"/workflows/"+b.workflow+"/export", nil), foreign},
		{"changing a foreign workflow", eve, request("PATCH", other+"/workflows/"+b.workflow, `{"title":"mine"}`), foreign},
		{"deleting a foreign workflow", eve, request("DELETE", other+"/workflows/"+b.workflow, nil), foreign},
		{"listing a foreign tenant", eve, request("GET", base+"/workflows", nil), foreign},
		{"answering for a foreign run", eve, both(emit("widget_send_input", widget(map[string]any{"instanceID": b.run, "inputType": "form_submit", "data": map[string]any{"approved": true}})),
			request("POST", base+"/workflows/data-collection", map[string]any{"collectionRequestID": b.request, "submittedData": map[string]any{"approved": true}})), foreign},
		{"answering it under one's own tenant", eve, request("POST", other+"/workflows/data-collection", map[string]any{"collectionRequestID": b.request}), foreign},
		{"a foreign widget", eve, emit("widget_workflow_connect", widget(map[string]any{"mode": "subscribe", "instanceID": b.run})), foreign},
		{"replaying to a foreign widget", eve, emit("widget_workflow_connect", widget(map[string]any{"mode": "replay", "instanceID": b.run})), foreign},
		{"a widget for a foreign run", eve, request("POST", base+"/workflows/instances/"+b.run+"/widget", nil), foreign},
		{"a foreign workflow's room", eve, emit("join_room", "workflow:default:"+b.workflow), foreign},
		{"it under one's own tenant", eve, emit("join_room", "workflow:other:"+b.workflow), foreign},
		{"replacing a foreign workflow", eve, request("PUT", other+"/workflows/"+b.workflow, `{"nodes":[],"edges":[]}`), foreign},
		{"a foreign tenant's room", eve, emit("join_room", "tenant:default"), foreign},
		{"a foreign tenant", eve, emit("join_tenant", "default"), foreign},
		{"a foreign listener", eve, emit("join_room", "listener:"+b.listener), foreign},
		{"tests of a foreign listener", eve, emit("join_room", "listener_test:"+b.listener), foreign},
		{"feeding a foreign listener", eve, request("POST", base+"/listeners/"+b.listener+"/events", `{"data":1}`), foreign},
		{"feeding it under one's own tenant", eve, request("POST", other+"/listeners/"+b.listener+"/events", `{"data":1}`), foreign},
		{"deleting a foreign listener", eve, request("DELETE", other+"/listeners/"+b.listener, nil), foreign},
		{"keys of a foreign tenant", eve, request("GET", base+"/api-keys", nil), foreign},
		{"a key for a foreign tenant", eve, request("POST", base+"/api-keys", `{"name":"mine"}`), foreign},
		{"disabling a foreign key", eve, request("DELETE", other+"/api-keys/"+b.key, nil), foreign},
		{"chatting in a foreign tenant", eve, emit("ai_chat_room_join", map[string]any{"tenantID": "default"}), foreign},

		// Across users.
		{"another's conversation", bob, emit("ai_chat_room_join", map[string]any{"chatRoomID": b.chat}), foreign},
		{"speaking in another's conversation", bob, emit("ai_chat_user_message", map[string]any{"chatRoomID": b.chat, "message": "hi"}), foreign},
		{"deciding in another's conversation", bob, emit("ai_chat_approval", map[string]any{"chatRoomID": b.chat, "approvalID": unknown, "decision": "approve"}), foreign},
		{"reading another's conversation", bob, both(emit("ai_chat_history", map[string]any{"chatRoomID": b.chat}), request("GET", base+"/chat/rooms/"+b.chat+"/messages", nil)), foreign},
		{"finding another's conversation", bob, request("GET", base+"/chat/rooms/"+b.chat, nil), foreign},
		{"deleting another's conversation", bob, request("DELETE", base+"/chat/rooms/"+b.chat, nil), foreign},
		{"naming another's conversation", bob, request("PATCH", base+"/chat/rooms/"+b.chat, `{"title":"mine"}`), foreign},
		{"letting oneself in", bob, request("PUT", base+"/chat/rooms/"+b.chat+"/members/bob", nil), foreign},
		{"letting oneself in from elsewhere", eve, request("PUT", other+"/chat/rooms/"+b.chat+"/members/eve", nil), foreign},
		{"removing who began a conversation", bob, request("DELETE", base+"/chat/rooms/"+b.chat+"/members/ada", nil), foreign},
		{"seeing who is in a conversation", bob, request("GET", base+"/chat/rooms/"+b.chat+"/members", nil), foreign},
		{"conversations of a foreign tenant", eve, request("GET", base+"/chat/rooms", nil), foreign},
		{"reading one's own conversation, from another tenant", ada, request("GET", other+"/chat/rooms/"+b.chat+"/messages", nil), foreign},
		{"one's own conversation, from another tenant", ada, emit("ai_chat_room_join", map[string]any{"chatRoomID": b.chat}), foreign},
		{"somebody else's name in a conversation", bob, emit("ai_chat_room_join", map[string]any{"firebaseID": "ada"}), denied},
		{"somebody else's name with a run", bob, emit("workflow_run_join", map[string]any{"runId": b.run, "firebaseID": "ada"}), denied},
		{"somebody else's name with a widget", bob, emit("widget_workflow_connect", widget(map[string]any{"workflowID": b.workflow, "firebaseID": "ada"})), denied},
		{"somebody else's token", bob, emit("auth_refresh", map[string]any{"token": w.as("ada", "default", auth.Admin)}), events.CodeInvalidUser},
		{"one's name at another issuer", bob, emit("auth_refresh", map[string]any{"token": w.es.Sign(t, claims(setIssuer, map[string]any{"sub": "bob"}))}), events.CodeInvalidUser},
		{"renewing with a forged token", bob, emit("auth_refresh", map[string]any{"token": w.hmac(nil) + "x"}), events.CodeTokenSignature},
		{"renewing with an old token", bob, emit("auth_refresh", map[string]any{"token": w.hmac(map[string]any{"sub": "bob", "exp": 1})}), events.CodeTokenExpired},
		{"renewing with nothing", bob, emit("auth_refresh", map[string]any{}), invalid},
		{"a key that acts as another", w.as("ann", "default", auth.Admin), request("POST", base+"/api-keys", `{"name":"x","userID":"ada"}`), denied},

		// Beyond one's role.
		{"a member stops a run", bob, request("DELETE", base+"/workflows/instances/"+b.run+"/stop", nil), denied},
		{"a member deletes a workflow", bob, request("DELETE", base+"/workflows/"+b.workflow, nil), denied},
		{"a member changes a workflow", bob, request("PATCH", base+"/workflows/"+b.workflow, `{"title":"mine"}`), denied},
		{"a member feeds a listener", bob, request("POST", base+"/listeners/"+b.listener+"/events", `{"data":1}`), denied},
		{"a member makes a key", bob, request("POST", base+"/api-keys", `{"name":"mine"}`), denied},
		{"a member lists keys", bob, request("GET", base+"/api-keys", nil), denied},
		{"a member revokes", bob, request("POST", "/api/v1/revocations", `{"kind":"user","id":"ada"}`), denied},
		{"an administrator revokes", eve, request("POST", "/api/v1/revocations", `{"kind":"user","id":"bob"}`), denied},
		{"an administrator lists revocations", eve, request("GET", "/api/v1/revocations", nil), denied},
		{"nobody's follows a run", none, emit("workflow_run_join", map[string]any{"runId": b.run}), denied},
		{"nobody's chats", none, emit("ai_chat_room_join", map[string]any{}), denied},
		{"nobody's joins a tenant", none, emit("join_tenant", "default"), denied},
		{"an operator is in no tenant", ops, both(emit("join_room", "tenant:default"), request("GET", base+"/workflows", nil)), foreign},
		{"an operator follows no run", ops, request("GET", base+"/workflows/instances/"+b.run, nil), foreign},

		// Names that are more than names.
		{"a run as a room", bob, emit("join_room", b.run), foreign},
		{"a conversation as a room", bob, emit("join_room", b.chat), foreign},
		{"a widget as a room", eve, emit("join_room", "widget:"+b.widget), foreign},
		{"the log as a room", bob, emit("join_room", "log:all"), foreign},
		{"a session as a room", bob, emit("join_room", strings.Repeat("a", 20)), foreign},
		{"a path to a tenant", eve, both(emit("join_room", "tenant:other/../default"), request("GET", other+"/../default/workflows", nil)), foreign},
		{"a path in disguise", eve, request("GET", other+"%2F..%2Fdefault/workflows", nil), foreign},
		{"a path to a run", eve, request("GET", other+"/workflows/instances/..%2F..%2F..%2Fdefault%2Fworkflows%2Finstances%2F"+b.run, nil), foreign},
		{"a path to a listener", eve, emit("join_room", "listener:../"+b.listener), foreign},
		{"a tenant and a zero byte", eve, emit("join_room", "tenant:default\x00"), foreign},
		{"a tenant in capitals", eve, emit("join_room", "tenant:DEFAULT"), foreign},
		{"a listener of the wrong kind", bob, emit("join_room", "listener:app_page:"+b.listener), foreign},
		{"SQL for a run", eve, request("GET", other+"/workflows/instances/x'%20OR%20'1'='1", nil), foreign},
		{"SQL for a key", eve, request("DELETE", other+"/api-keys/x'%20OR%20'1'='1", nil), foreign},
		{"an event of the server's", bob, emit("auth_expiring", map[string]any{}), events.CodeInvalidRequest},
		{"a log line to the monitor", w.as("ann", "default", auth.Admin), operation{namespace: "/monitor", event: "log", payload: map[string]any{}}, events.CodeInvalidRequest},
	} {
		for _, x := range transports(w.Server) {
			code, ok := x.do(t, tt.who, tt.op)
			if ok {
				n++
			}
			if ok && code != tt.code {
				t.Errorf("%s, %s: code %q, want %q", x.name(), tt.name, code, tt.code)
			}
		}
	}
	t.Logf("%d cases", n)
	// Who is no administrator does not get into /monitor at all.
	for _, token := range []string{bob, none} {
		if code := (socketIO{w.Server, "/monitor"}).knock(t, token); code != denied {
			t.Errorf("/monitor: %q", code)
		}
	}
	if status := w.Do(bob, http.MethodGet, "/api/v1/me", nil, nil); status != 200 {
		t.Errorf("bob is still good: %d", status)
	}
}
