package redis

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/roomcast/roomcast/internal/cluster"
)

// Types of requests and responses of the classic adapter.
const (
	classicSockets = iota
	classicAllRooms
	classicJoin
	classicLeave
	classicDisconnect
	classicFetch
	classicServerSideEmit
	classicBroadcast
	classicClientCount
	classicAck
)

var classicTypes = map[cluster.Kind]int{
	cluster.ListSockets: classicSockets, cluster.ListRooms: classicAllRooms, cluster.Join: classicJoin,
	cluster.Leave: classicLeave, cluster.Disconnect: classicDisconnect, cluster.FetchSockets: classicFetch,
	cluster.ServerSideEmit: classicServerSideEmit, cluster.Broadcast: classicBroadcast,
}

// classicEvent encodes a broadcast without acks: [uid, packet, opts], always as
// MessagePack.
func classicEvent(self string, m *cluster.Message, s stamp) ([]byte, error) {
	b := append(make([]byte, 0, 256), '[')
	b = appendJSONString(b, self)
	b = append(b, ',')
	b = appendClassicPacket(b, m)
	b = append(b, ',')
	b = appendOptions(b, m, s)
	return appendMsgpack(nil, append(b, ']'), m.Packet.Attachments)
}

func appendClassicPacket(b []byte, m *cluster.Message) []byte {
	b = append(b, `{"type":2,"data":`...)
	b = appendArgs(b, m.Packet.Args)
	return append(appendMember(b, "nsp", m.Namespace), '}')
}

// classicRequest encodes everything else. Broadcasts with acks are MessagePack,
// and so is what has attachments.
func classicRequest(self string, m *cluster.Message, s stamp) ([]byte, error) {
	kind, ok := classicTypes[m.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %d has no form", m.Kind)
	}
	b := append(make([]byte, 0, 256), `{"uid":`...)
	b = appendJSONString(b, self)
	if m.RequestID != "" {
		b = appendMember(b, "requestId", m.RequestID)
	}
	b = append(b, `,"type":`...)
	b = strconv.AppendInt(b, int64(kind), 10)
	switch m.Kind {
	case cluster.Broadcast:
		b = append(b, `,"packet":`...)
		b = appendClassicPacket(b, m)
	case cluster.ServerSideEmit:
		b = append(b, `,"data":`...)
		b = appendArgs(b, m.Packet.Args)
	case cluster.Join, cluster.Leave:
		b = append(b, `,"rooms":`...)
		b = appendNames(b, m.Rooms)
	case cluster.Disconnect:
		b = append(b, `,"close":`...)
		b = strconv.AppendBool(b, m.Close)
	case cluster.ListSockets:
		b = append(b, `,"rooms":`...)
		b = appendNames(b, m.Target.Rooms)
	}
	b = append(b, `,"opts":`...)
	b = append(appendOptions(b, m, s), '}')
	if m.Kind == cluster.Broadcast {
		return appendMsgpack(nil, b, m.Packet.Attachments)
	}
	return finish(b, m.Packet.Attachments)
}

// classicResponse encodes an answer. Acks of clients are MessagePack.
func classicResponse(to *cluster.Message, r *cluster.Response) ([]byte, error) {
	b := append(make([]byte, 0, 256), `{"requestId":`...)
	b = appendJSONString(b, to.RequestID)
	switch to.Kind {
	case cluster.FetchSockets:
		b = append(b, `,"sockets":`...)
		b = appendSockets(b, r.Sockets)
	case cluster.ListSockets:
		b = append(b, `,"sockets":`...)
		b = appendNames(b, r.Rooms)
	case cluster.ListRooms:
		b = append(b, `,"rooms":`...)
		b = appendNames(b, r.Rooms)
	case cluster.ServerSideEmit:
		b = append(b, `,"type":6,"data":`...)
		b = append(b, ackValue(r.Ack)...)
	case cluster.Broadcast:
		if r.Acked {
			b = append(b, `,"type":9,"packet":`...)
			b = append(append(b, ackValue(r.Ack)...), '}')
			return appendMsgpack(nil, b, r.Parts)
		}
		b = append(b, `,"type":8,"clientCount":`...)
		b = strconv.AppendInt(b, int64(r.Clients), 10)
	}
	return finish(append(b, '}'), r.Parts)
}

// appendSockets appends descriptions of sessions.
func appendSockets(b []byte, sockets []cluster.Socket) []byte {
	b = append(b, '[')
	for i, s := range sockets {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = appendJSONString(b, s.ID)
		b = append(b, `,"handshake":`...)
		b = append(b, orElse(s.Handshake, "{}")...)
		b = append(b, `,"rooms":`...)
		b = appendNames(b, s.Rooms)
		b = append(b, `,"data":`...)
		b = append(append(b, orElse(s.Data, "{}")...), '}')
	}
	return append(b, ']')
}

func orElse(raw json.RawMessage, other string) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage(other)
	}
	return raw
}

// readClassicEvent decodes [uid, packet, opts].
func readClassicEvent(namespace string, payload []byte) (incoming, error) {
	if len(payload) > maxMessage {
		return incoming{}, errSize
	}
	js, attachments, err := fromMsgpack(payload, attach)
	if err != nil {
		return incoming{}, err
	}
	var parts []json.RawMessage
	if err := unmarshal(js, &parts); err != nil {
		return incoming{}, err
	}
	if len(parts) < 3 {
		return incoming{}, errPacket
	}
	var p packet
	var o options
	if err := unmarshal(parts[1], &p); err != nil {
		return incoming{}, err
	}
	if err := unmarshal(parts[2], &o); err != nil {
		return incoming{}, err
	}
	if of := p.Namespace; of == nil && namespace != "/" || of != nil && *of != namespace {
		return incoming{}, errOther
	}
	m := &cluster.Message{Kind: cluster.Broadcast, Namespace: namespace, From: looseText(parts[0])}
	if m.Packet, err = p.event(attachments); err != nil {
		return incoming{}, err
	}
	seq := o.apply(m)
	return incoming{namespace: namespace, message: m, seq: seq}, nil
}

// readClassicRequest decodes a request. Those of old servers name one session.
func readClassicRequest(namespace string, payload []byte) (incoming, error) {
	js, attachments, err := open(payload, attach)
	if err != nil {
		return incoming{}, err
	}
	var r struct {
		UID       text              `json:"uid"`
		RequestID text              `json:"requestId"`
		Type      int               `json:"type"`
		Rooms     names             `json:"rooms"`
		Options   *options          `json:"opts"`
		Close     any               `json:"close"`
		Packet    packet            `json:"packet"`
		Data      []json.RawMessage `json:"data"`
		SID       text              `json:"sid"`
		Room      text              `json:"room"`
	}
	if err := unmarshal(js, &r); err != nil {
		return incoming{}, err
	}
	m := &cluster.Message{Namespace: namespace, From: string(r.UID), RequestID: string(r.RequestID)}
	in := incoming{namespace: namespace, message: m}
	for kind, number := range classicTypes {
		if number == r.Type {
			m.Kind = kind
		}
	}
	switch {
	case m.Kind == 0:
		return incoming{}, errOther
	case r.Options != nil:
		in.seq = r.Options.apply(m)
	case r.SID != "":
		m.Target.Rooms = []string{string(r.SID)}
		r.Rooms = names{string(r.Room)}
	}
	switch m.Kind {
	case cluster.Broadcast:
		m.Packet, err = r.Packet.event(attachments)
	case cluster.ServerSideEmit:
		m.Packet, err = event(r.Data, attachments)
	case cluster.Join, cluster.Leave:
		m.Rooms = r.Rooms
	case cluster.Disconnect:
		m.Close = r.Close == true
	case cluster.ListSockets:
		m.Target.Rooms = r.Rooms
	}
	return in, err
}

// readClassicResponse decodes an answer. kindOf tells what was asked; others'
// answers come here, too.
func readClassicResponse(namespace string, payload []byte, kindOf func(requestID string) (cluster.Kind, bool)) (incoming, error) {
	js, attachments, err := open(payload, attach)
	if err != nil {
		return incoming{}, err
	}
	var r struct {
		RequestID   text            `json:"requestId"`
		Type        int             `json:"type"`
		Sockets     json.RawMessage `json:"sockets"`
		Rooms       names           `json:"rooms"`
		ClientCount int             `json:"clientCount"`
		Packet      json.RawMessage `json:"packet"`
		Data        json.RawMessage `json:"data"`
	}
	if err := unmarshal(js, &r); err != nil {
		return incoming{}, err
	}
	kind, ours := kindOf(string(r.RequestID))
	if !ours {
		return incoming{}, errOther
	}
	out := &cluster.Response{RequestID: string(r.RequestID)}
	switch kind {
	case cluster.FetchSockets:
		out.Sockets, err = readSockets(r.Sockets)
	case cluster.ListSockets:
		var ids names
		err = unmarshal(orElse(r.Sockets, "[]"), &ids)
		out.Rooms = ids
	case cluster.ListRooms:
		out.Rooms = r.Rooms
	case cluster.ServerSideEmit:
		out.Acked, out.Ack, out.Parts = true, ackValue(r.Data), attachments
	case cluster.Broadcast:
		if r.Type == classicAck {
			out.Acked, out.Ack, out.Parts = true, ackValue(r.Packet), attachments
		} else {
			out.Clients = r.ClientCount
		}
	default:
		return incoming{}, errOther
	}
	return incoming{namespace: namespace, response: out}, err
}

// readSockets decodes descriptions of sessions.
func readSockets(raw json.RawMessage) ([]cluster.Socket, error) {
	var list []struct {
		ID        text            `json:"id"`
		Handshake json.RawMessage `json:"handshake"`
		Rooms     names           `json:"rooms"`
		Data      json.RawMessage `json:"data"`
	}
	if err := unmarshal(orElse(raw, "[]"), &list); err != nil {
		return nil, err
	}
	sockets := make([]cluster.Socket, len(list))
	for i, s := range list {
		sockets[i] = cluster.Socket{ID: string(s.ID), Handshake: orElse(s.Handshake, "{}"), Rooms: s.Rooms, Data: orElse(s.Data, "{}")}
	}
	return sockets, nil
}
