package rest_test

import (
	"fmt"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
)

// What is published to rooms without rows: whose they are and what they are
// about stands in their names.
func TestPublishAbout(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	publisher := s.Token("svc", "default", auth.Publisher)
	status := func(more string) string {
		return `{"entityType":"task","entityID":"t-1","status":"done"` + more + `}`
	}
	for _, tt := range []struct {
		room, event, data, more string
		offset                  uint64
		field                   string
	}{
		{"user:default:ann", "notification", `{"message":"hello"}`, "", 1, ""},
		{"user:default:ann", "notification", `{"message":"hello","userID":"ann","level":"info","data":[1]}`, "", 2, ""},
		{"user:default:ann", "notification", `{"message":"hello","userID":"bob"}`, "", 0, "data.userID"},
		{"user:default:ann", "notification", `{"message":"hello","level":"loud"}`, "", 0, "data.level"},
		{"user:other:ann", "notification", `{"message":"hello"}`, "", 0, "room"},
		{"user:default", "notification", `{"message":"hello"}`, "", 0, "room"},
		{"tenant:default", "notification", `{"message":"hello"}`, "", 1, ""},
		{"entity:default:task:t-1", "status_update", status(""), "", 1, ""},
		{"entity:default:task:t-2", "status_update", status(""), "", 0, "data.entityID"},
		{"entity:default:job:t-1", "status_update", status(""), "", 0, "data.entityType"},
		{"entity:other:task:t-1", "status_update", status(""), "", 0, "room"},
		{"entity:default:task:t-1", "status_update", status(`,"ownerID":"ann"`), `,"id":"x"`, 2, ""}, // ann's 3
		{"entity:default:task:t-1", "status_update", status(`,"ownerID":"ann"`), `,"id":"x"`, 2, ""}, // again
		{"entity:default:task:t-1", "status_update", status(`,"ownerID":"ann"`), "", 3, ""},          // ann's 4
		{"entity:default:task:t-1", "status_update", status(`,"ownerID":"a\n"`), "", 0, "data.ownerID"},
		{"user:default:ann", "sync_update", `{"type":"settings","entityID":"theme","version":7,"updatedAt":"2026-01-02T10:17:25Z"}`, "", 5, ""},
		{"user:default:ann", "sync_update", `{"type":"theme","entityID":"theme","version":7,"updatedAt":"2026-01-02T10:17:25Z"}`, "", 0, "data.type"},
		{"agent:default:a-1", "agent_status", `{"agentID":"a-1","status":"idle"}`, "", 1, ""},
		{"agent:default:a-2", "agent_status", `{"agentID":"a-1","status":"idle"}`, "", 0, "data.agentID"},
	} {
		var got published
		s.Do(publisher, "POST", publishPath, fmt.Sprintf(`{"room":%q,"event":%q,"data":%s%s}`, tt.room, tt.event, tt.data, tt.more), &got)
		if got.OK != (tt.field == "") || got.Offset != tt.offset || got.Error.Field != tt.field {
			t.Errorf("%s %s %s: %+v, want %d %q", tt.room, tt.event, tt.data, got, tt.offset, tt.field)
		}
	}
}
