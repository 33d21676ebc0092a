package rawws

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
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
	if a, _ := r.in("a"); a != (place{sent: 2, got: 1}) {
		t.Error(a)
	}
	if _, been := r.in("c"); been {
		t.Error(r.rooms)
	}
	r.arrived("b", 9)
	if b, _ := r.in("b"); b != (place{sent: 9, got: 9}) {
		t.Error(b)
	}
	r.forget("a")
	got := r.confirmed(third)
	if _, been := r.in("a"); len(got) != 0 || been {
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
	for _, m := range asyncapitest.Document(t, "ws-bots.yaml").Messages() {
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
	for _, m := range asyncapitest.Document(f, "ws-bots.yaml").Messages() {
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

// What is left to say of an answer is what was not said, and nothing if that was
// something else.
func TestRestOfAnswer(t *testing.T) {
	var a answers
	told := a.begin("room", "id")
	for _, piece := range []string{"on", "e ", "𝄞"} {
		told.say(piece)
	}
	for text, want := range map[string]string{"one 𝄞": "", "one 𝄞 two": " two"} {
		if rest, ok := told.rest(text); !ok || rest != want {
			t.Errorf("%q, %v", rest, ok)
		}
	}
	for _, text := range []string{"", "one", "two 𝄞 two", "one \xf0\x9d\x84\x9f"} {
		if rest, ok := told.rest(text); ok {
			t.Errorf("%q goes on with %q", text, rest)
		}
	}
	a.end("room", "id")
	a.begin("room", "next")
	a.end("other", "id")
	if a.forget("room"); len(a.open) != 0 || a.over("room", "id") || !a.over("other", "id") {
		t.Errorf("%+v", a)
	}
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
