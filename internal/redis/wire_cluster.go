package redis

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/roomcast/roomcast/internal/cluster"
)

// Types of messages and responses of the sharded adapter and of the one on
// streams. 1, 2 and 13 are heartbeats, which neither needs.
const (
	typeBroadcast      = 3
	typeJoin           = 4
	typeLeave          = 5
	typeDisconnect     = 6
	typeFetch          = 7
	typeSockets        = 8
	typeServerSideEmit = 9
	typeServerSideAck  = 10
	typeClientCount    = 11
	typeAck            = 12
)

var clusterTypes = map[cluster.Kind]int{
	cluster.Broadcast: typeBroadcast, cluster.Join: typeJoin, cluster.Leave: typeLeave, cluster.Disconnect: typeDisconnect,
	cluster.FetchSockets: typeFetch, cluster.ServerSideEmit: typeServerSideEmit,
}

// appendEnvelope appends {uid, nsp, type, data} up to the data.
func appendEnvelope(b []byte, self, namespace string, kind int) []byte {
	b = append(b, `{"uid":`...)
	b = appendJSONString(b, self)
	b = appendMember(b, "nsp", namespace)
	b = append(b, `,"type":`...)
	b = strconv.AppendInt(b, int64(kind), 10)
	return append(b, `,"data":`...)
}

// clusterMessage encodes a message as JSON, whose placeholders stand for its
// attachments.
func clusterMessage(self string, m *cluster.Message, s stamp) ([]byte, error) {
	kind, ok := clusterTypes[m.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %d has no form", m.Kind)
	}
	b := appendEnvelope(make([]byte, 0, 256), self, m.Namespace, kind)
	return append(appendClusterData(b, m, s), '}'), nil
}

func appendClusterData(b []byte, m *cluster.Message, s stamp) []byte {
	switch m.Kind {
	case cluster.Broadcast:
		b = append(b, `{"packet":{"type":2,"data":`...)
		b = append(appendArgs(b, m.Packet.Args), `},`...)
	case cluster.ServerSideEmit:
		b = append(b, `{"packet":`...)
		b = append(appendArgs(b, m.Packet.Args), ',')
	case cluster.Join, cluster.Leave:
		b = append(b, `{"rooms":`...)
		b = append(appendNames(b, m.Rooms), ',')
	case cluster.Disconnect:
		b = append(b, `{"close":`...)
		b = append(strconv.AppendBool(b, m.Close), ',')
	default:
		b = append(b, '{')
	}
	b = append(b, `"opts":`...)
	b = appendOptions(b, m, s)
	if m.RequestID != "" {
		b = appendMember(b, "requestId", m.RequestID)
	}
	return append(b, '}')
}

// clusterResponse encodes an answer as JSON, as clusterMessage does.
func clusterResponse(self string, to *cluster.Message, r *cluster.Response) []byte {
	b := make([]byte, 0, 256)
	id := func(kind int) {
		b = appendEnvelope(b, self, to.Namespace, kind)
		b = append(b, `{"requestId":`...)
		b = appendJSONString(b, to.RequestID)
	}
	switch {
	case to.Kind == cluster.FetchSockets:
		id(typeSockets)
		b = append(b, `,"sockets":`...)
		b = appendSockets(b, r.Sockets)
	case to.Kind == cluster.ServerSideEmit:
		id(typeServerSideAck)
		b = append(b, `,"packet":`...)
		b = append(b, ackValue(r.Ack)...)
	case r.Acked:
		id(typeAck)
		b = append(b, `,"packet":`...)
		b = append(b, ackValue(r.Ack)...)
	default:
		id(typeClientCount)
		b = append(b, `,"clientCount":`...)
		b = strconv.AppendInt(b, int64(r.Clients), 10)
	}
	return append(b, "}}"...)
}

// readCluster decodes a message or a response.
func readCluster(payload []byte, how bins) (incoming, error) {
	js, attachments, err := open(payload, how)
	if err != nil {
		return incoming{}, err
	}
	var e struct {
		UID       text            `json:"uid"`
		Namespace string          `json:"nsp"`
		Type      int             `json:"type"`
		Data      json.RawMessage `json:"data"`
	}
	if err := unmarshal(js, &e); err != nil {
		return incoming{}, err
	}
	if e.Type == typeSockets && len(attachments) > 0 {
		return readCluster(payload, inline) // descriptions of sessions are JSON
	}
	return readClusterData(string(e.UID), e.Namespace, e.Type, e.Data, attachments)
}

// clusterData is what the data of all types have.
type clusterData struct {
	Options     options         `json:"opts"`
	RequestID   text            `json:"requestId"`
	Packet      json.RawMessage `json:"packet"`
	Rooms       names           `json:"rooms"`
	Close       any             `json:"close"`
	Sockets     json.RawMessage `json:"sockets"`
	ClientCount int             `json:"clientCount"`
}

func readClusterData(from, namespace string, kind int, raw json.RawMessage, attachments [][]byte) (incoming, error) {
	if kind < typeBroadcast || kind > typeAck {
		return incoming{}, errOther
	}
	var d clusterData
	if err := unmarshal(raw, &d); err != nil {
		return incoming{}, err
	}
	if kind == typeSockets || kind >= typeServerSideAck {
		r, err := d.response(kind, attachments)
		return incoming{namespace: namespace, response: r}, err
	}
	m := &cluster.Message{Namespace: namespace, From: from, RequestID: string(d.RequestID)}
	for k, number := range clusterTypes {
		if number == kind {
			m.Kind = k
		}
	}
	seq := d.Options.apply(m)
	return incoming{namespace: namespace, message: m, seq: seq}, d.fill(m, attachments)
}

// fill puts what is particular to a kind into a message.
func (d *clusterData) fill(m *cluster.Message, attachments [][]byte) (err error) {
	switch m.Kind {
	case cluster.Broadcast:
		var p packet
		if err := unmarshal(d.Packet, &p); err != nil {
			return err
		}
		m.Packet, err = p.event(attachments)
	case cluster.ServerSideEmit:
		var args []json.RawMessage
		if err := unmarshal(d.Packet, &args); err != nil {
			return err
		}
		m.Packet, err = event(args, attachments)
	case cluster.Join, cluster.Leave:
		m.Rooms = d.Rooms
	case cluster.Disconnect:
		m.Close = d.Close == true
	}
	return err
}

func (d *clusterData) response(kind int, attachments [][]byte) (r *cluster.Response, err error) {
	r = &cluster.Response{RequestID: string(d.RequestID)}
	switch kind {
	case typeSockets:
		r.Sockets, err = readSockets(d.Sockets)
	case typeClientCount:
		r.Clients = d.ClientCount
	default:
		r.Acked, r.Ack, r.Parts = true, ackValue(d.Packet), attachments
	}
	return r, err
}
