package rawws

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/events"
)

// notice is a payload as sessions hear it.
func notice(p events.Payload) Notice {
	payload, _ := events.Encode(p)
	return Notice{Event: p.EventName(), Payload: payload}
}

// withoutTime decodes a frame of the server, without its timestamp.
func withoutTime(raw []byte) map[string]any {
	var f map[string]any
	json.Unmarshal(raw, &f)
	delete(f, "timestamp")
	return f
}

// Every example of what the server says is what it says of something.
func TestServiceExamples(t *testing.T) {
	const run = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	said := func(kind string, data any) []byte { return serviceText(kind, data, time.Now()) }
	channel := map[string]string{"channel": "conversation:conv-123"}
	var all []map[string]any
	for _, raw := range [][]byte{
		renderService(notice(events.Notification{UserID: "ada", Message: "New comment on your post"})),
		renderService(notice(events.StatusUpdate{EntityType: "task", EntityID: "task-789", Status: "completed", OwnerID: "ada", EventID: "x"})),
		renderService(notice(events.AgentStatus{AgentID: "agent-7", Status: "working", Data: events.JSON(`{"step":3}`)})),
		renderService(notice(events.ListenerEvent{ChannelName: "prices", Data: events.JSON(`[1,2]`), Mode: "append", Limit: 100, Timestamp: 1767366245000})),
		renderService(notice(events.WorkflowNodeUpdate{InstanceID: run, NodeID: "add", Status: events.NodeSuccess, Output: events.JSON("5")})),
		renderService(notice(events.WorkflowDataCollectionRequest{InstanceID: run, NodeID: "ask", CollectionRequestID: "9f1b6a1e-0d9c-4d53-9a52-5a3e8f5f3a10", CollectionConfig: events.CollectionConfig{Title: "Approve an order of 1200?"}})),
		renderService(notice(events.WorkflowStatusUpdate{InstanceID: run, Status: events.RunCompleted, Output: events.JSON(`{"sum":5}`)})),
		said("chat_message", serviceChat{"conv-123", "user-456", "Hello there!"}),
		said("chat_message", serviceChat{"conv-123", assistant, "How can I help?"}),
		said("subscribed", channel), said("unsubscribed", channel), said("pong", struct{}{}),
		said("error", map[string]string{"code": "invalid_request", "message": "what was sent is not a JSON object"}),
	} {
		all = append(all, withoutTime(raw))
	}
	for _, m := range asyncapitest.Document(t, "ws-service.yaml").Messages() {
		for _, e := range m.Examples {
			known := m.Inbound
			for _, f := range all {
				known = known || reflect.DeepEqual(f, withoutTime(e))
			}
			if !known {
				t.Errorf("%s: the server never says %s", m.Name, e)
			}
		}
	}
	if renderService(notice(events.SyncUpdate{})) != nil {
		t.Error("there are no words for sync_update")
	}
	if got := withoutTime(renderService(notice(events.StatusUpdate{Data: events.JSON("null")})))["data"]; fmt.Sprint(got) != "map[data:<nil> entity_id: entity_type: status:]" {
		t.Error(got)
	}
}

func TestRecent(t *testing.T) {
	var r recent
	for n := range 3 * maxRecent {
		if id := fmt.Sprint(n); !r.add(id) || r.add(id) {
			t.Error(id)
		}
	}
	if !r.add("0") || len(r.ids) != maxRecent {
		t.Error("what was long ago is not forgotten")
	}
}

// Whatever a client sends, its frame is judged and refused without a panic.
func FuzzServiceFrame(f *testing.F) {
	for _, m := range asyncapitest.Document(f, "ws-service.yaml").Messages() {
		for _, e := range m.Examples {
			f.Add([]byte(e))
		}
	}
	f.Add([]byte(`{"type":"subscribe","data":{"channel":7}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		frame := parseFrame(raw)
		judge(frame)
		for _, name := range []string{"channel", "conversation_id", "content"} {
			text, err := textIn(frame, name)
			if (text == "") != (err != nil) {
				t.Errorf("%q: %q %v", raw, text, err)
			}
		}
	})
}
