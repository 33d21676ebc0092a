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
		return &a.packet, a.attachments, checkPlaceholders(a)
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
	p.namespace, p.data = bytes.Clone(p.namespace), bytes.Clone(p.data)
	l.assembling = &assembly{packet: p}
	return nil, nil, nil
}

// checkPlaceholders makes sure that every placeholder has its attachment.
func checkPlaceholders(a *assembly) error {
	_, err := replacePlaceholders(a.packet.data, a.attachments)
	return err
}

// replacePlaceholders puts attachments where their placeholders stand, as
// strings in base64: what encoding/json decodes into a []byte.
func replacePlaceholders(data []byte, attachments [][]byte) (json.RawMessage, error) {
	var value any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, malformed("payload is not JSON")
	}
	value, err := replace(value, attachments)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func replace(value any, attachments [][]byte) (_ any, err error) {
	switch v := value.(type) {
	case []any:
		for i := range v {
			if v[i], err = replace(v[i], attachments); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if v["_placeholder"] == true {
			n, ok := v["num"].(json.Number)
			i, err := n.Int64()
			if !ok || err != nil || i < 0 || int(i) >= len(attachments) {
				return nil, malformed("illegal attachments")
			}
			return base64.StdEncoding.EncodeToString(attachments[i]), nil
		}
		for k := range v {
			if v[k], err = replace(v[k], attachments); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}
