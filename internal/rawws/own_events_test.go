package rawws_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

// What the server has to say of itself reaches clients of the dialects as what
// back ends publish does.
func TestServersOwnEvents(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.WebSocket.Action.APIKey = actionKey }})
	ann := s.Token("ann", "default", auth.Member)
	devices, notes := genesis(t, s, "boss"), genesis(t, s, "ann")
	devices.subscribe("sync:boss")
	notes.subscribe("sync:ann", "notifications:ann")
	plain := dialService(t, s, "token="+ann)
	plain.silent()

	// A workflow that is saved, new or not.
	last := 0.0
	for range 2 {
		define(t, s, "asks", asking)
		m := devices.next()
		p := payload(m)
		if version := p["version"].(float64); version <= last {
			t.Errorf("version %v after %v", version, last)
		} else {
			last = version
		}
		if m["type"] != "sync_update" || p["type"] != "workflow" || p["entityId"] != "asks" || math.Floor(p["version"].(float64)/1000) != p["updatedAt"] {
			t.Errorf("%v", m)
		}
	}
	// A run that waits for a person.
	var run struct{ InstanceID string }
	s.Do(ann, "POST", workflowsPath+"/asks/execute", `{}`, &run)
	heard := plain.hear()
	var note struct {
		Message, Level string
		Data           struct{ InstanceID, NodeID, CollectionRequestID string }
	}
	json.Unmarshal([]byte(strings.TrimPrefix(heard, "notification ")), &note)
	if note.Message != "?" || note.Level != "info" || note.Data.InstanceID != run.InstanceID || note.Data.NodeID != "q" || note.Data.CollectionRequestID == "" {
		t.Error(heard)
	}
	if m := notes.next(); m["type"] != "notification" || payload(m)["data"].(map[string]any)["instanceID"] != run.InstanceID {
		t.Error(m)
	}
	// What the assistant proposes, and does not do before it is approved.
	plain.send(`{"type":"chat_message","data":{"conversation_id":"c","content":"run asks"}}`)
	if answer := plain.hear(); !strings.HasPrefix(answer, "chat_message ") {
		t.Error(answer)
	}
	if heard := plain.hear(); !strings.HasPrefix(heard, "notification ") || !strings.Contains(heard, "approvalID") || !strings.Contains(heard, "asks") {
		t.Error(heard)
	}
	if m := notes.next(); m["type"] != "notification" || payload(m)["data"].(map[string]any)["approvalID"] == nil {
		t.Error(m)
	}
	// The end of a run, for who started it.
	s.Do(s.Token("boss", "default", auth.Admin), "DELETE", workflowsPath+"/instances/"+run.InstanceID+"/stop", nil, nil)
	if heard := plain.hear(); !strings.HasPrefix(heard, "status_update ") || !strings.Contains(heard, `"status":"STOPPED"`) {
		t.Error(heard)
	}
	// A character that decides.
	character := dial(t, s, "/ws/action")
	token := character.register("azerty", "tom", "juste le boss")
	notes.subscribe("agent:" + userOf(t, token))
	plain.told(on("agent:"+userOf(t, token)), `subscribed {"channel":"agent:`+userOf(t, token)+`"}`)
	character.ask(`{"action":"TakeDecision","token":%q,"message":"Hello"}`, token)
	character.ask(`{"action":"Disconnect","token":%q}`, token)
	character.ask(`{"action":"Connection","checksum":"azerty"}`)
	for _, status := range []string{"deciding", "idle", "disconnected", "connected"} {
		if m := notes.next(); m["type"] != "agent_status" || payload(m)["status"] != status || payload(m)["agentId"] != userOf(t, token) || payload(m)["data"].(map[string]any)["name"] != "tom" {
			t.Errorf("%s: %v", status, m)
		}
		plain.hears(`status_update {"data":{"name":"tom"},"entity_id":"` + userOf(t, token) + `","entity_type":"agent","status":"` + status + `"}`)
	}
	for _, c := range []*client{devices, notes} {
		c.nothing()
	}
	plain.silent()
}

// userOf returns the user that a token names.
func userOf(t *testing.T, token string) string {
	t.Helper()
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		UserID string `json:"user_id"`
	}
	if json.Unmarshal(claims, &c) != nil || c.UserID == "" {
		t.Fatalf("%s", claims)
	}
	return c.UserID
}
