package rawws

import (
	"bytes"
	"encoding/json"
)

// A frame is what a client sent, taken apart as far as every dialect needs it.
type frame struct {
	raw    []byte
	fields map[string]json.RawMessage // nil if it is not a JSON object
	// kind and action are the texts in "type" and "action", "" if there are none.
	kind, action string
	// dropped is the text of a frame that was not read, as there were too many.
	dropped []byte
}

func parseFrame(raw []byte) frame {
	f := frame{raw: raw}
	if json.Unmarshal(raw, &f.fields) != nil {
		f.fields = nil
		return f
	}
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

// object returns the object in a field.
func (f frame) object(name string) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	ok := begins(f.fields[name], '{') && json.Unmarshal(f.fields[name], &object) == nil
	return object, ok
}

// number reports whether a field is a number.
func (f frame) number(name string) bool {
	v := f.fields[name]
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

func textOf(v json.RawMessage) (s string, ok bool) {
	ok = begins(v, '"') && json.Unmarshal(v, &s) == nil
	return s, ok
}

func begins(v json.RawMessage, c byte) bool {
	v = bytes.TrimLeft(v, " \t\r\n")
	return len(v) > 0 && v[0] == c
}
