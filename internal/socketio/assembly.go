package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// An assembly is a packet that waits for its attachments, which follow it as
// binary messages. They are kept by its session, which may end before they
// have all come.
type assembly struct {
	packet  packet
	session *Session // nil when the server has just ended it
	arrived int
	size    int // bytes of the attachments
}

// assemble decodes a message. It returns nil while attachments are missing.
func (l *link) assemble(data []byte, binary bool) (*packet, [][]byte, error) {
	a := l.assembling
	switch {
	case binary && a == nil:
		return nil, nil, malformed("attachment without a packet")
	case binary:
		return l.attach(a, data)
	case a != nil:
		return nil, nil, malformed("text while attachments are missing")
	}
	p, err := decodePacket(data)
	if err != nil {
		return nil, nil, err
	}
	if p.attachments == 0 {
		return &p, nil, nil
	}
	// What is wrong is found before anything is kept for it.
	s := l.find(l.name(p))
	if s == nil {
		if err := l.stateError(l.name(p)); err != nil {
			return nil, nil, err
		}
	}
	if found, err := findPlaceholders(p.data, p.attachments); err != nil || len(found) < p.attachments {
		return nil, nil, errPlaceholder
	}
	p.namespace, p.data = bytes.Clone(p.namespace), bytes.Clone(p.data)
	l.assembling = &assembly{packet: p, session: s}
	return nil, nil, nil
}

// attach takes in one attachment.
func (l *link) attach(a *assembly, data []byte) (*packet, [][]byte, error) {
	a.arrived++
	if a.size += len(data); a.size > l.srv.opts.MaxAttachments {
		return nil, nil, malformed("attachments are too long together")
	}
	if a.session != nil {
		a.session.attach(bytes.Clone(data))
	}
	if a.arrived < a.packet.attachments {
		return nil, nil, nil
	}
	l.assembling = nil
	if a.session == nil {
		return nil, nil, nil
	}
	return &a.packet, a.session.takeAttachments(), nil
}

var errPlaceholder = malformed("illegal attachments")

// A placeholder stands where an attachment belongs, as {"_placeholder":true,
// "num":0}.
type placeholder struct{ start, end, num int }

// findPlaceholders returns the placeholders in a JSON value, in their order. No
// attachment may have two: the value would grow when they are put in.
func findPlaceholders(data []byte, attachments int) ([]placeholder, error) {
	f := finder{b: data, used: make([]bool, attachments)}
	i := f.value(skipSpace(data, 0), 0)
	if i < 0 || skipSpace(data, i) != len(data) {
		return nil, errPlaceholder
	}
	return f.found, nil
}

type finder struct {
	b     []byte
	used  []bool
	found []placeholder
}

// value is the function of that name, but looks for placeholders: -1 is also
// one that is wrong.
func (f *finder) value(i, depth int) int {
	if i >= len(f.b) || depth > maxDepth {
		return -1
	}
	switch f.b[i] {
	case '{':
		return f.object(i, depth)
	case '[':
		return f.array(i, depth)
	}
	return value(f.b, i, depth)
}

func (f *finder) array(i, depth int) int {
	if i = skipSpace(f.b, i+1); i < len(f.b) && f.b[i] == ']' {
		return i + 1
	}
	for {
		if i = f.value(i, depth+1); i < 0 {
			return -1
		}
		i = skipSpace(f.b, i)
		if i < len(f.b) && f.b[i] == ']' {
			return i + 1
		}
		if i == len(f.b) || f.b[i] != ',' {
			return -1
		}
		i = skipSpace(f.b, i+1)
	}
}

func (f *finder) object(i, depth int) int {
	start, before := i, len(f.found)
	marked, num := false, -1
	if i = skipSpace(f.b, i+1); i < len(f.b) && f.b[i] == '}' {
		return i + 1
	}
	for i < len(f.b) && f.b[i] == '"' {
		key := i
		if i = str(f.b, i); i < 0 {
			return -1
		}
		name := f.b[key:i]
		if i = skipSpace(f.b, i); i == len(f.b) || f.b[i] != ':' {
			return -1
		}
		from := skipSpace(f.b, i+1)
		if i = f.value(from, depth+1); i < 0 {
			return -1
		}
		switch string(name) {
		case `"_placeholder"`:
			marked = string(f.b[from:i]) == "true"
		case `"num"`:
			num = index(f.b[from:i])
		}
		i = skipSpace(f.b, i)
		if i < len(f.b) && f.b[i] == '}' {
			if marked && !f.note(placeholder{start, i + 1, num}, before) {
				return -1
			}
			return i + 1
		}
		if i == len(f.b) || f.b[i] != ',' {
			return -1
		}
		i = skipSpace(f.b, i+1)
	}
	return -1
}

// index returns the number of an attachment, -1 if it is none.
func index(b []byte) int {
	n, rest, err := number(b, 2)
	if err != nil || len(rest) > 0 {
		return -1
	}
	return int(n)
}

// note reports whether a placeholder is right: its attachment exists, no other
// stands for it, and none lies within.
func (f *finder) note(p placeholder, before int) bool {
	if p.num < 0 || p.num >= len(f.used) || f.used[p.num] || len(f.found) > before {
		return false
	}
	f.used[p.num] = true
	f.found = append(f.found, p)
	return true
}

// replacePlaceholders puts attachments where their placeholders stand, as
// strings in base64: what encoding/json decodes into a []byte.
func replacePlaceholders(data []byte, attachments [][]byte) (json.RawMessage, error) {
	found, err := findPlaceholders(data, len(attachments))
	if err != nil || len(found) == 0 {
		return data, err
	}
	size := len(data)
	for _, p := range found {
		size += base64.StdEncoding.EncodedLen(len(attachments[p.num])) + 2
	}
	out, at := make([]byte, 0, size), 0
	for _, p := range found {
		out = append(out, data[at:p.start]...)
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, attachments[p.num])
		out = append(out, '"')
		at = p.end
	}
	return append(out, data[at:]...), nil
}
