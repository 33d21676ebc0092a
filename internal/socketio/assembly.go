package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// assembly is a packet that waits for its attachments, which follow it as
// binary messages.
type assembly struct {
	packet      packet
	attachments [][]byte
}

// assemble decodes a message. It returns nil while attachments are missing.
func (l *link) assemble(data []byte, binary bool) (*packet, [][]byte, error) {
	a := l.assembling
	switch {
	case binary && a == nil:
		return nil, nil, malformed("attachment without a packet")
	case binary:
		a.attachments = append(a.attachments, bytes.Clone(data))
		if len(a.attachments) < a.packet.attachments {
			return nil, nil, nil
		}
		l.assembling = nil
		return &a.packet, a.attachments, nil
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
	if l.find(l.name(p)) == nil {
		return nil, nil, errState
	}
	if err := checkPlaceholders(p.data, p.attachments); err != nil {
		return nil, nil, err
	}
	p.namespace, p.data = bytes.Clone(p.namespace), bytes.Clone(p.data)
	l.assembling = &assembly{packet: p}
	return nil, nil, nil
}

// checkPlaceholders makes sure that every attachment has one placeholder, and
// every placeholder its attachment: a packet that names one of them twice
// would grow when they are put in.
func checkPlaceholders(data []byte, attachments int) error {
	value, err := decodeAny(data)
	if err != nil {
		return err
	}
	used := make([]bool, attachments)
	count := 0
	err = eachPlaceholder(value, func(i int) (any, error) {
		if used[i] {
			return nil, errPlaceholder
		}
		used[i] = true
		count++
		return nil, nil
	}, attachments)
	if err == nil && count < attachments {
		err = errPlaceholder
	}
	return err
}

var errPlaceholder = malformed("illegal attachments")

// replacePlaceholders puts attachments where their placeholders stand, as
// strings in base64: what encoding/json decodes into a []byte.
func replacePlaceholders(data []byte, attachments [][]byte) (json.RawMessage, error) {
	value, err := decodeAny(data)
	if err != nil {
		return nil, err
	}
	whole := []any{value}
	err = eachPlaceholder(whole, func(i int) (any, error) {
		return base64.StdEncoding.EncodeToString(attachments[i]), nil
	}, len(attachments))
	if err != nil {
		return nil, err
	}
	return json.Marshal(whole[0])
}

func decodeAny(data []byte) (value any, err error) {
	if !validJSON(data) { // bounds the depth too
		return nil, malformed("payload is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, malformed("payload is not JSON")
	}
	return value, nil
}

// eachPlaceholder puts what fn returns in the place of each placeholder within
// value, an array or object.
func eachPlaceholder(value any, fn func(attachment int) (any, error), attachments int) (err error) {
	visit := func(v any) (any, error) {
		m, ok := v.(map[string]any)
		if !ok || m["_placeholder"] != true {
			return v, eachPlaceholder(v, fn, attachments)
		}
		n, ok := m["num"].(json.Number)
		if !ok {
			return nil, errPlaceholder
		}
		i, err := n.Int64()
		if err != nil || i < 0 || i >= int64(attachments) {
			return nil, errPlaceholder
		}
		return fn(int(i))
	}
	switch v := value.(type) {
	case []any:
		for i := range v {
			if v[i], err = visit(v[i]); err != nil {
				return err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = visit(v[k]); err != nil {
				return err
			}
		}
	}
	return nil
}
