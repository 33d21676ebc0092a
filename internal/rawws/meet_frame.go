package rawws

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// A meetFrame is what a client of the dialect meet sent.
type meetFrame struct {
	kind string
	room string
	// Of join.
	id, name, tenant string
	// target is who a signal is for, "" for what is for all.
	target string
	body   json.RawMessage
	muted  bool // of mute
}

// maxEmoji is in bytes: some are sequences of many characters.
const maxEmoji = 64

// field returns a field of a frame, which may be in its payload too.
func (f frame) field(name string) json.RawMessage {
	if v, ok := f.fields[name]; ok {
		return v
	}
	return f.payload[name]
}

// decodeMeet reads a frame. problem is what is wrong with it, for its client.
func decodeMeet(f frame) (in meetFrame, problem string) {
	wrong := func(format string, args ...any) (meetFrame, string) {
		return in, "Invalid: " + fmt.Sprintf(format, args...)
	}
	if f.fields == nil {
		return wrong("a frame is a JSON object")
	}
	in.kind = f.kind
	for name, to := range map[string]*string{"room_id": &in.room, "participant_id": &in.id, "participant_name": &in.name, "tenant_id": &in.tenant, "target_id": &in.target} {
		if v := f.field(name); v != nil && string(v) != "null" {
			text, ok := textOf(v)
			if !ok || text == "" {
				return wrong("%s is not a text, or empty", name)
			}
			*to = text
		}
	}
	part, known := meetParts[f.kind]
	switch {
	case f.kind == "":
		return wrong("type is missing, or not a text")
	case !known:
		return wrong("%.32q is not a type that is known here", f.kind)
	}
	if in.target == "" && part.target {
		return wrong("target_id is missing")
	}
	if !part.target {
		in.target = ""
	}
	if part.field == "" {
		return in, ""
	}
	in.body = f.field(part.field)
	if in.body == nil || !part.valid(in.body) {
		return wrong("%s is missing, or not %s", part.field, part.is)
	}
	in.muted = string(in.body) == "true"
	return in, ""
}

// at makes a frame one that came to the path of a meeting, "" if frames name it.
func (in *meetFrame) at(room string) (problem string) {
	switch {
	case room == "" && in.room == "":
		return "Invalid: room_id is missing"
	case room == "":
		return ""
	case in.room != "" && in.room != room:
		return "Room ID mismatch"
	}
	in.room = room
	return ""
}

// meetParts are the types that clients send, and which field says what they are
// about.
var meetParts = map[string]struct {
	target bool
	field  string
	valid  func(json.RawMessage) bool
	is     string
}{
	"join":               {},
	"leave":              {},
	"signal":             {true, "signal", func(v json.RawMessage) bool { return string(v) != "null" }, "a value"},
	"offer":              {true, "sdp", isDescription, "a text or an object"},
	"answer":             {true, "sdp", isDescription, "a text or an object"},
	"ice_candidate":      {true, "candidate", func(json.RawMessage) bool { return true }, "a value"},
	"chat_message":       {false, "content", func(v json.RawMessage) bool { s, ok := textOf(v); return ok && s != "" }, "a text"},
	"reaction":           {false, "emoji", isEmoji, "a text of 1 to 64 bytes"},
	"mute":               {false, "muted", isBool, "true or false"},
	"screen_share_start": {},
	"screen_share_stop":  {},
	"raise_hand":         {},
}

func isDescription(v json.RawMessage) bool { return begins(v, '"') || begins(v, '{') }

func isBool(v json.RawMessage) bool { return string(v) == "true" || string(v) == "false" }

func isEmoji(v json.RawMessage) bool {
	s, ok := textOf(v)
	return ok && s != "" && len(s) <= maxEmoji && utf8.ValidString(s)
}
