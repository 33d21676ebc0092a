package rawws

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
	"github.com/roomcast/roomcast/internal/meet"
)

// Every example of what the server says is what it says of something.
func TestMeetExamples(t *testing.T) {
	jane := meet.Member{ID: "b1a5cf0e-6f4e-4e26-8f6c-3f1f1c4b9e22", Name: "Jane"}
	john := meet.Member{ID: "7f3d8a52-1f0e-4d0b-9d4e-0d2f6f1c7a11", Name: "John"}
	quiet := jane
	quiet.Muted = true
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	said := map[string][]any{}
	for _, n := range []meet.Notice{
		{Kind: meet.Entered, Member: john, Members: []meet.Member{jane}},
		{Kind: meet.Came, Member: jane},
		{Kind: meet.Went, Member: jane, Reason: meet.Leaving},
		{Kind: meet.Removed, Member: jane, Reason: meet.Gone},
		{Kind: meet.Muted, Member: quiet, Members: []meet.Member{quiet}},
		{Kind: meet.Signalled, Member: jane, Event: "offer", Body: raw(`"v=0"`)},
		{Kind: meet.Signalled, Member: jane, Event: "answer", Body: raw(`"v=0"`)},
		{Kind: meet.Signalled, Member: jane, Event: "ice_candidate", Body: raw(`{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"}`)},
		{Kind: meet.Signalled, Member: jane, Event: "signal", Body: raw(`{"renegotiate":true}`)},
		{Kind: meet.Said, Member: jane, Event: "chat_message", Body: raw(`"Hello"`), At: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)},
		{Kind: meet.Said, Member: jane, Event: "screen_share_start"},
		{Kind: meet.Said, Member: jane, Event: "screen_share_stop"},
		{Kind: meet.Said, Member: jane, Event: "raise_hand"},
		{Kind: meet.Said, Member: jane, Event: "reaction", Body: raw(`"👍"`)},
	} {
		said["/ws/meet"] = append(said["/ws/meet"], bareWords("room-uuid", n)...)
		said["/ws/meet/{room}"] = append(said["/ws/meet/{room}"], pathWords(n)...)
	}
	heard := func(v any) (m map[string]any) {
		text, ok := v.(json.RawMessage)
		if !ok {
			text, _ = encode(v)
		}
		json.Unmarshal(text, &m)
		return m
	}
	for _, m := range asyncapitest.Document(t, "ws-meet.yaml").Messages() {
		for _, e := range m.Examples {
			known := m.Inbound || m.Name == "pong" || m.Name == "error"
			for _, v := range said[m.Namespace] {
				example := heard(e)
				if _, named := heard(v)["room_id"]; !named { // some examples are of both
					delete(example, "room_id")
				}
				known = known || reflect.DeepEqual(heard(v), example)
			}
			if !known {
				t.Errorf("%s %s: the server never says %s", m.Namespace, m.Name, e)
			}
		}
	}
}

// Whatever a client sends, its frame is read, and what is read of it can be
// told to both kinds of clients, as JSON.
func FuzzMeetFrame(f *testing.F) {
	for _, m := range asyncapitest.Document(f, "ws-meet.yaml").Messages() {
		for _, e := range m.Examples {
			f.Add([]byte(e))
		}
	}
	f.Add([]byte(`{"type":"signal","payload":{"target_id":"t","signal":{"description":{"type":"offer","sdp":null}}}}`))
	f.Add([]byte(`{"type":"signal","target_id":"t","signal":{"candidate":"c","sdpMid":"0"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, problem := decodeMeet(parseFrame(raw))
		if problem != "" {
			return
		}
		n := meet.Notice{Kind: meet.Said, Event: in.kind, Body: in.body}
		if in.target != "" {
			n.Kind = meet.Signalled
		}
		for _, words := range [][]any{bareWords("r", n), pathWords(n)} {
			if len(words) == 0 {
				t.Errorf("%s: nothing is said", raw)
			}
			for _, v := range words {
				if _, err := encode(v); err != nil {
					t.Errorf("%s: %v", raw, err)
				}
			}
		}
	})
}
