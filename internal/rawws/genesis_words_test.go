package rawws

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/events"
)

// Every example of what clients say is taken as it is meant, and every example of
// what the server says is what it says of something.
func TestGenesisExamples(t *testing.T) {
	begun := time.UnixMilli(1730000000000)
	const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	mine := &genesisRun{id: id, name: "wf-123", requested: true, correlation: "req-789", startedAt: begun}
	other := &genesisRun{id: id, name: "wf-123", startedAt: begun}
	of := func(r *genesisRun, p events.Payload, at time.Time) genesisFrame {
		f, ok := r.frame(p, at)
		if !ok {
			t.Errorf("there are no words for %+v", p)
		}
		return f
	}
	refused := unknownOf("sync:user-457")
	var said []any
	for _, f := range []genesisFrame{
		newGenesisFrame("workflow_started", mine.started(), mine.correlation), newGenesisFrame("workflow_started", other.started(), other.correlation),
		of(mine, events.WorkflowNodeUpdate{NodeID: "fetch", Status: events.NodeSuccess, Output: events.JSON(`{"status":200}`), Duration: 112}, begun),
		of(mine, events.WorkflowStatusUpdate{Status: events.RunCompleted, Output: events.JSON(`{"total":42}`)}, begun.Add(130*time.Millisecond)),
		of(mine, events.WorkflowStatusUpdate{Status: events.RunFailed, Error: "node fetch: connection refused"}, begun),
		of(other, events.WorkflowStatusUpdate{Status: events.RunCancelled}, begun),
		newGenesisFrame("sync_update", newGenesisSync(events.SyncUpdate{Type: "settings", EntityID: "theme", Version: 7, UpdatedAt: events.Time{Time: begun}, EncryptedData: "q83vEjRWeJA="}), ""),
		newGenesisFrame("notification", newGenesisNotification(events.Notification{UserID: "user-456", Message: "New comment on your post", Level: "info", Data: events.JSON(`{"post":"post-17"}`)}), ""),
		newGenesisFrame("agent_status", newGenesisAgent(events.AgentStatus{AgentID: "agent-7", Status: "working", Data: events.JSON(`{"step":3}`)}), ""),
		newGenesisFrame("subscribed", genesisChannels{[]string{"agent:agent-7", "notifications:user-456"}}, "req-788"),
		newGenesisFrame("unsubscribed", genesisChannels{[]string{"workflow:wf-123"}}, "req-790"),
		newGenesisFrame("pong", struct{}{}, ""),
		newGenesisFrame("error", newGenesisError(frame{kind: "execute_workflow"}, events.NotFound("workflow", "wf-124")), "req-789"),
		newGenesisFrame("error", newGenesisError(frame{}, events.FieldErrorf("payload.channels", "is missing, or not an array")), ""),
		newGenesisFrame("error", subscriptionFailed([]genesisRefused{refused}), ""),
	} {
		text, err := encode(f)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, timeless(t, text))
	}
	for _, m := range asyncapitest.Document(t, "ws-genesis.yaml").Messages() {
		for _, e := range m.Examples {
			switch {
			case m.Inbound:
				accepted(t, parseFrame(e))
			case !slices.ContainsFunc(said, func(f any) bool { return reflect.DeepEqual(f, timeless(t, e)) }):
				t.Errorf("the server never says %s", e)
			}
		}
	}
}

func unknownOf(channel string) genesisRefused {
	return newGenesisRefused(channel, events.NotFound("channel", channel))
}

func timeless(t *testing.T, raw []byte) map[string]any {
	var f map[string]any
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	delete(f, "timestamp")
	return f
}

func accepted(t *testing.T, f frame) {
	_, err := correlationOf(f)
	if err == nil {
		switch f.kind {
		case "subscribe", "unsubscribe":
			_, err = channelsOf(f)
		case "execute_workflow":
			_, err = executionOf(f)
		}
	}
	if v := judge(f); err != nil || v.dialect() != Genesis && v != genesisPing {
		t.Errorf("%s: %v, verdict %d", f.raw, err, v)
	}
}

// Every code that the program has stands in the document.
func TestGenesisCodes(t *testing.T) {
	contract := asyncapitest.Contract(t, "ws-genesis.yaml")
	codes := []string{"UNKNOWN_TYPE", "UNAUTHORIZED", "WORKFLOW_NOT_FOUND", "SUBSCRIPTION_FAILED", "EVENTS_LOST", "INVALID_MESSAGE"}
	for _, code := range genesisCodes {
		codes = append(codes, code)
	}
	for _, code := range codes {
		text, _ := encode(newGenesisFrame("error", genesisError{Code: code, Message: "m"}, ""))
		if err := contract.Outbound("/ws/genesis", "error", text); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, tt := range []struct {
		kind string
		code events.Code
		want string
	}{
		{"", events.CodeTokenExpired, "UNAUTHORIZED"},
		{"", events.CodeCredentialRevoked, "UNAUTHORIZED"},
		{"", events.CodeTooManyFailures, "RATE_LIMITED"},
		{"execute_workflow", events.CodeNotFound, "WORKFLOW_NOT_FOUND"},
		{"subscribe", events.CodeNotFound, "NOT_FOUND"},
		{"execute_workflow", events.CodePermissionDenied, "FORBIDDEN"},
		{"execute_workflow", events.CodeTooManyRuns, "RATE_LIMITED"},
		{"execute_workflow", events.CodeValidation, "INVALID_MESSAGE"},
		{"", events.CodeInternal, "INTERNAL_ERROR"},
	} {
		if got := genesisCode(frame{kind: tt.kind}, &events.Error{Code: tt.code}); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.kind, tt.code, got, tt.want)
		}
	}
}

func TestLatest(t *testing.T) {
	var l latest
	for n := range 3 * maxLatest {
		l.add(fmt.Sprint(n))
		if !l.has(fmt.Sprint(n)) || !l.has(fmt.Sprint(max(0, n-maxLatest+1))) {
			t.Fatal(n)
		}
	}
	if l.has("0") {
		t.Error("what was long ago is not forgotten")
	}
}
