package asyncapi

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/asyncapi/schema"
	"github.com/roomcast/roomcast/events"
)

func contract(t *testing.T, mode Mode, log *bytes.Buffer) *Contract {
	t.Helper()
	d, err := SocketEvents()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewContract(d, mode, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInboundNamesTheField(t *testing.T) {
	c := contract(t, Enforce, new(bytes.Buffer))
	const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	for _, tt := range []struct {
		event, arg, field, message string
	}{
		{"workflow_run_join", `{"runId":"` + id + `"}`, "", ""},
		{"workflow_run_join", `{}`, "runId", "is missing"},
		{"workflow_run_join", `{"runId":7}`, "runId", "got number, want string"},
		{"workflow_run_join", `{"runId":"x"}`, "runId", "is not a UUID"},
		{"workflow_run_join", `{"runId":"` + id + `","extra":1}`, "extra", "is not a field here"},
		{"workflow_run_join", `[]`, "payload", "got array, want object"},
		{"workflow_run_join", `null`, "payload", "got null, want object"},
		{"workflow_run_join", "", "payload", "is missing"},
		{"ai_chat_room_join", "", "", ""},
		{"ai_chat_user_message", `{"message":"hi","chatRoomID":"` + id + `"}`, "", ""},
		{"ai_chat_user_message", `{"message":{"text":"hi","action":"maybe"},"chatRoomID":"` + id + `"}`, "message.action", "value must be one of"},
		{"ai_chat_user_message", `{"message":[{"type":"user"}],"roomId":"` + id + `"}`, "message[0].text", "is missing"},
		{"ai_chat_user_message", `{"message":"hi"}`, "chatRoomID", "is missing"},
		{"ai_chat_user_message", `{"message":{"txt":"hi"},"chatRoomID":"` + id + `"}`, "message.text", "is missing"},
		{"ai_chat_user_message", `{"message":7,"chatRoomID":"` + id + `"}`, "message", "got number"},
		{"join_room", `"tenant:default"`, "", ""},
		{"join_room", `""`, "payload", "is empty"},
		{"join_room", `{"room":"tenant:default","since":{"epoch":"e","offset":0}}`, "", ""},
		{"join_room", `{"room":"tenant:default","since":null}`, "", ""},
		{"join_room", `{"room":1}`, "room", "got number, want string"},
		{"join_room", `{"room":"tenant:default","since":{"offset":1}}`, "since.epoch", "is missing"},
		{"leave_room", `{"room":1}`, "payload", "got object, want string"},
		{"unknown", `{}`, "", ""}, // the router's business
	} {
		var arg []byte
		if tt.arg != "" {
			arg = []byte(tt.arg)
		}
		err := c.Inbound("/", tt.event, arg)
		if tt.field == "" {
			if err != nil {
				t.Errorf("%s %s: %v", tt.event, tt.arg, err)
			}
			continue
		}
		var e *events.Error
		if !errors.As(err, &e) {
			t.Errorf("%s %s: got %v", tt.event, tt.arg, err)
			continue
		}
		if e.Code != events.CodeValidation || e.Field != tt.field || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s %s: got %s %q %q, want field %q: %s", tt.event, tt.arg, e.Code, e.Field, e.Message, tt.field, tt.message)
		}
	}
}

func TestOutboundAndAck(t *testing.T) {
	c := contract(t, Enforce, new(bytes.Buffer))
	if err := c.Outbound("/", "ai_chat_bot_message", []byte(`{"text":"x"}`)); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ namespace, event, payload string }{
		{"/", "ai_chat_bot_message", `{}`},
		{"/", "no_such_event", `{}`},
		{"/monitor", "ai_chat_bot_message", `{"text":"x"}`},
		{"/", "workflow_run_join", `{"runId":"7c9e6679-7425-40de-944b-e07fc1f90ae7"}`}, // a client's event
	} {
		if c.Outbound(tt.namespace, tt.event, []byte(tt.payload)) == nil {
			t.Errorf("%s %s %s passed", tt.namespace, tt.event, tt.payload)
		}
	}
	if err := c.Ack("/", "leave_room", []byte(`{"ok":true,"room":"tenant:a"}`)); err != nil {
		t.Error(err)
	}
	if c.Ack("/", "leave_room", []byte(`{"ok":true}`)) == nil {
		t.Error("an ack without its room passed")
	}
}

func TestModes(t *testing.T) {
	var log bytes.Buffer
	if err := contract(t, Report, &log).Inbound("/", "workflow_run_join", []byte(`{}`)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "message breaks the contract") || !strings.Contains(log.String(), "runId") {
		t.Errorf("log: %s", &log)
	}
	log.Reset()
	if err := contract(t, Off, &log).Inbound("/", "workflow_run_join", []byte(`{}`)); err != nil || log.Len() > 0 {
		t.Errorf("off: %v, log: %s", err, &log)
	}
	d, _ := SocketEvents()
	if _, err := NewContract(d, "strict", nil); err == nil {
		t.Error("an unknown mode passed")
	}
}

// Every example of the document is valid by the document.
func TestExamplesAreValid(t *testing.T) {
	c := contract(t, Enforce, new(bytes.Buffer))
	d, _ := SocketEvents()
	seen := 0
	for _, m := range d.Messages() {
		if len(m.Examples) == 0 {
			t.Errorf("%s has no example", m.Name)
		}
		for _, e := range m.Examples {
			err := c.Outbound(m.Namespace, m.Name, e)
			if m.Inbound {
				err = c.Inbound(m.Namespace, m.Name, e)
			}
			if err != nil {
				t.Errorf("example of %s: %v", m.Name, err)
			}
			if m.AckFor != "" {
				if err := c.Ack(m.Namespace, m.AckFor, e); err != nil {
					t.Errorf("example of %s: %v", m.Name, err)
				}
			}
			seen++
		}
	}
	if seen < 50 {
		t.Errorf("only %d examples were seen", seen)
	}
}

// A schema that the fast check does not know would make its event slow without
// anybody noticing.
func TestEverySchemaIsFast(t *testing.T) {
	for at, r := range contract(t, Enforce, new(bytes.Buffer)).rules {
		for _, s := range []*shape{r.payload, r.ack} {
			if s != nil && s.fast == nil {
				_, err := schema.Compile(s.full)
				t.Errorf("%s %s: %v", at.namespace, at.event, err)
			}
		}
	}
}
