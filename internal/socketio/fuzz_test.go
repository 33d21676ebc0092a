package socketio

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/engineio"
)

// deep reports whether b may be nested deeper than the scan allows.
func deep(b []byte) bool { return bytes.Count(b, []byte{'['})+bytes.Count(b, []byte{'{'}) > maxDepth }

func sameValues(a, b []json.RawMessage) bool {
	return slices.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
}

// The scan accepts exactly what encoding/json does, within its depth.
func FuzzSplitArray(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if deep(b) {
			splitArray(b)
			validJSON(b)
			return
		}
		var want []json.RawMessage
		valid := json.Unmarshal(b, &want) == nil && want != nil
		got, err := splitArray(b)
		if (err == nil) != valid {
			t.Fatalf("%q: %v, encoding/json says valid=%v", b, err, valid)
		}
		if valid && !sameValues(got, want) {
			t.Fatalf("%q: %q, want %q", b, got, want)
		}
		if json.Valid(b) != validJSON(b) {
			t.Fatalf("%q: validJSON says %v", b, validJSON(b))
		}
	})
}

// A packet that was decoded means the same when it is encoded again.
func FuzzDecodePacket(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePacket(b)
		if err != nil {
			return
		}
		if len(p.namespace) == 0 || p.namespace[0] != '/' || p.attachments > maxAttachments || (p.data != nil && len(p.data) == 0) {
			t.Fatalf("%q: %+v", b, p)
		}
		if p.data != nil && !validJSON(p.data) {
			return // refused later; it may begin with what looks like a namespace
		}
		encoded := append(appendHeader(nil, p.kind, p.attachments, string(p.namespace), p.hasID, p.id), p.data...)
		again, err := decodePacket(encoded)
		if err != nil || again.kind != p.kind || again.attachments != p.attachments || again.hasID != p.hasID || again.id != p.id ||
			!bytes.Equal(again.namespace, p.namespace) || !bytes.Equal(again.data, p.data) {
			t.Fatalf("%q was encoded as %q: %+v, %v, want %+v", b, encoded, again, err, p)
		}
	})
}

// An event is an array that begins with its name, and nothing else is one.
func FuzzEventArgs(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if deep(b) || !utf8.Valid(b) { // the transport lets no other text through
			eventArgs(b, nil)
			return
		}
		var elements []json.RawMessage
		var want string
		valid := json.Unmarshal(b, &elements) == nil && len(elements) > 0 && elements[0][0] == '"' &&
			json.Unmarshal(elements[0], &want) == nil && !reserved[want]
		name, args, err := eventArgs(b, nil)
		if (err == nil) != valid {
			t.Fatalf("%q: %v, want valid=%v", b, err, valid)
		}
		if !valid {
			return
		}
		if name != want || !sameValues(args, elements[1:]) {
			t.Fatalf("%q: %q %q, want %q %q", b, name, args, want, elements[1:])
		}
		p, err := decodePacket(appendEvent(nil, "/", name, args, 0))
		if err != nil {
			t.Fatal(err)
		}
		again, sent, err := eventArgs(p.data, nil)
		if err != nil || again != name || !sameValues(sent, args) {
			t.Fatalf("%q was sent as %q %q, %v", b, again, sent, err)
		}
	})
}

// A packet is complete with its last attachment, not before; and then no
// placeholder is left that its handler would take for data.
func FuzzAssemble(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, attachment []byte, others uint8) {
		if !utf8.Valid(text) || deep(text) {
			return
		}
		l := &link{conn: &engineio.Conn{}, srv: &Server{opts: Options{MaxAttachments: 1 << 30}}}
		header, bad := decodePacket(text)
		l.begin(string(header.namespace), nil)
		p, _, err := l.assemble(text, false)
		if bad != nil && err == nil {
			t.Fatalf("%q was accepted, but %v", text, bad)
		}
		if err != nil {
			return
		}
		if (p != nil) != (header.attachments == 0) {
			t.Fatalf("%q: complete=%v with %d attachments to come", text, p != nil, header.attachments)
		}
		var attachments [][]byte
		for i := 1; p == nil && err == nil; i++ {
			if i > header.attachments {
				t.Fatalf("%q: not complete after %d attachments", text, i-1)
			}
			sent := bytes.Repeat(attachment, 1+i*int(others%3))
			if p, attachments, err = l.assemble(sent, true); len(attachments) > 0 && !bytes.Equal(attachments[i-1], sent) {
				t.Fatalf("%q: attachment %d is %q, want %q", text, i, attachments[i-1], sent)
			}
			clear(sent) // it belongs to the connection again
		}
		if l.assembling != nil {
			t.Fatalf("%q: something is still expected", text)
		}
		if err != nil || p.attachments == 0 {
			return
		}
		filled(t, p, attachments)
		if _, _, err := l.assemble(attachment, true); err == nil {
			t.Fatalf("%q: one more attachment was accepted", text)
		}
	})
}

// filled fills the placeholders of each element of a payload, as the handler
// does, in which a placeholder that has no attachment must have been found.
func filled(t *testing.T, p *packet, attachments [][]byte) {
	t.Helper()
	elements, err := splitArray(p.data)
	if err != nil {
		return
	}
	for _, e := range elements {
		value, err := replacePlaceholders(e, attachments)
		if err != nil {
			t.Fatalf("%q: %v", e, err)
		}
		if !json.Valid(value) {
			t.Fatalf("%q was filled to %q", e, value)
		}
		if strings.Contains(string(value), `"_placeholder":true`) && !strings.Contains(string(value), `\"`) {
			t.Fatalf("%q: a placeholder is left in %q", e, value)
		}
	}
}
