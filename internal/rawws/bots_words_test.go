package rawws

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/events"
)

func TestReached(t *testing.T) {
	var r reached
	first := r.sent("a", 1)
	second := r.sent("b", 7)
	third := r.sent("a", 2)
	if got := r.confirmed(second); !maps.Equal(got, map[string]uint64{"a": 1, "b": 7}) {
		t.Error(got)
	}
	if got := r.confirmed(first); len(got) != 0 {
		t.Error("confirmed again", got)
	}
	if r.upTo("a") != 2 || r.upTo("c") != 0 {
		t.Error(r.rooms)
	}
	r.forget("a")
	if got := r.confirmed(third); len(got) != 0 || r.upTo("a") != 0 {
		t.Error("a room that is gone is still known", got)
	}
	var last uint64
	for n := range uint64(3 * maxUnconfirmed) {
		last = r.sent("a", n)
	}
	if got := r.confirmed(last); len(r.sends) != 0 || got["a"] != 3*maxUnconfirmed-1 {
		t.Error(got)
	}
}

func TestBotsCodes(t *testing.T) {
	for want, e := range map[string]*events.Error{
		"AUTH_FAILED":         events.Errorf(events.CodeTokenExpired, "x"),
		"MESSAGE_TOO_LARGE":   events.Errorf(events.CodeTooLarge, "x"),
		"RATE_LIMITED":        events.Errorf(events.CodeConflict, "x"),
		"INTERNAL_ERROR":      events.Errorf(events.CodeTimeout, "x"),
		"SUBSCRIPTION_FAILED": subscription(events.NotFound("tenant", "x")),
		"SESSION_NOT_FOUND":   events.NotFound("session", "x"),
		"INVALID_FORMAT":      events.FieldErrorf("type", "x"),
	} {
		if got := botsCode("message", e); got != want {
			t.Errorf("%s is %s, not %s", e.Code, got, want)
		}
	}
	if got := botsCode("message", subscription(events.Errorf(events.CodeInternal, "x"))); got != "INTERNAL_ERROR" {
		t.Error(got)
	}
	if got := botsCode("auth", events.FieldErrorf("token", "x")); got != "AUTH_FAILED" {
		t.Error(got)
	}
}

// Every example of what the server says is what it can say.
func TestBotsExamples(t *testing.T) {
	doc, err := asyncapi.Parse(asyncapi.Dialects()["ws-bots.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range doc.Messages() {
		for _, e := range m.Examples {
			if m.Inbound {
				continue
			}
			var f botsFrame
			var want, got map[string]any
			json.Unmarshal(e, &f)
			again, _ := encode(f)
			json.Unmarshal(e, &want)
			json.Unmarshal(again, &got)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: the server says %s, not %s", m.Name, again, e)
			}
		}
	}
}

// Whatever a client sends, its frame is read without a panic.
func FuzzBotsFrame(f *testing.F) {
	doc, err := asyncapi.Parse(asyncapi.Dialects()["ws-bots.yaml"])
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range doc.Messages() {
		for _, e := range m.Examples {
			f.Add([]byte(e))
		}
	}
	f.Add([]byte(`{"type":"message","payload":{"session_id":7,"content":"x"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		frame, b := parseFrame(raw), &bots{}
		judge(frame)
		for _, name := range []string{"session_id", "content", "token"} {
			top, ok := frame.text(name)
			if text := b.field(frame, name); ok && text != top {
				t.Errorf("%q: %q is not %q", raw, text, top)
			}
		}
	})
}

func TestMessageIDs(t *testing.T) {
	ids := map[string]bool{}
	for n := range uint64(3) {
		for _, role := range []string{"", "user", "said"} {
			ids[messageID("room", n, role)] = true
		}
	}
	if len(ids) != 9 {
		t.Error(ids)
	}
}
