package rawws

import (
	"bytes"
	"encoding/json"
)

// A frame is what a client sent, taken apart as far as every dialect needs it.
type frame struct {
	raw    []byte
	fields map[string]json.RawMessage // nil if it is not a JSON object
	// payload and data are the objects in the fields of those names, nil if
	// there are none.
	payload, data map[string]json.RawMessage
	// kind and action are the texts in "type" and "action", "" if there are none.
	kind, action string
	// dropped is the text of a frame that was not read, as there were too many.
	dropped []byte
}

func parseFrame(raw []byte) frame {
	f := frame{raw: raw}
	if f.fields = objectOf(raw); f.fields == nil {
		return f
	}
	f.payload, f.data = objectOf(f.fields["payload"]), objectOf(f.fields["data"])
	f.kind, _ = f.text("type")
	f.action, _ = f.text("action")
	return f
}

// has reports whether there is a field, whatever its value.
func (f frame) has(name string) bool {
	_, ok := f.fields[name]
	return ok
}

// text returns the text in a field.
func (f frame) text(name string) (string, bool) { return textOf(f.fields[name]) }

// number reports whether a field is a number.
func (f frame) number(name string) bool {
	v := f.fields[name]
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

// objectOf returns the fields of an object, nil of what is none.
func objectOf(v json.RawMessage) (fields map[string]json.RawMessage) {
	if !begins(v, '{') || json.Unmarshal(v, &fields) != nil {
		return nil
	}
	return fields
}

func textOf(v json.RawMessage) (s string, ok bool) {
	ok = begins(v, '"') && json.Unmarshal(v, &s) == nil
	return s, ok
}

func begins(v json.RawMessage, c byte) bool {
	v = bytes.TrimLeft(v, " \t\r\n")
	return len(v) > 0 && v[0] == c
}
