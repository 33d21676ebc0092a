package redis

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/cluster"
)

// Fields of an entry. JavaScript servers know the first four; one without nsp
// they skip.
const (
	fieldUID       = "uid"
	fieldNamespace = "nsp"
	fieldType      = "type"
	fieldData      = "data"
	fieldStamp     = "roomcast" // a stamp, or gapMark
)

// gapMark marks an entry that tells all to look after what they missed.
const gapMark = "gap"

// streams is the adapter on XADD.
type streams struct {
	common
	opts Stream
}

// numbered are the streams' names.
func (s *streams) names() []string {
	if s.opts.Count <= 1 {
		return []string{s.opts.Name}
	}
	names := make([]string, s.opts.Count)
	for i := range names {
		names[i] = s.opts.Name + "-" + strconv.Itoa(i)
	}
	return names
}

// stream is the number of a namespace's stream. A namespace whose hash is
// negative has none in JavaScript's reading of it: nobody reads what it writes.
// Here it has one.
func (s *streams) stream(namespace string) int {
	if s.opts.Count <= 1 {
		return 0
	}
	var hash int32
	for _, c := range utf16.Encode([]rune(namespace)) {
		hash = hash*31 + int32(c)
	}
	return max(int(hash), -int(hash)) % s.opts.Count
}

// ephemeral reports whether a message goes over pub/sub.
func ephemeral(m *cluster.Message) bool {
	return m.Kind == cluster.Broadcast && m.RequestID != "" || m.Kind == cluster.ServerSideEmit || m.Kind == cluster.FetchSockets
}

func (s *streams) place(m *cluster.Message) (stream int, echo bool) {
	if ephemeral(m) || clusterTypes[m.Kind] == 0 {
		return -1, false
	}
	return s.stream(m.Namespace), m.Kind == cluster.Broadcast && !m.Volatile
}

func (s *streams) publish(m *cluster.Message, seq uint64) ([]command, error) {
	kind := clusterTypes[m.Kind]
	mark := makeStamp(seq, m.Position)
	switch {
	case kind == 0:
		return nil, nil
	case ephemeral(m):
		js, err := clusterMessage(s.self, m, mark)
		if err != nil {
			return nil, err
		}
		payload, err := appendMsgpack(nil, js, m.Packet.Attachments)
		return one(s.command(s.of("", m.Namespace), payload, err))
	}
	data := appendClusterData(make([]byte, 0, 256), m, "")
	if len(m.Packet.Attachments) > 0 {
		packed, err := appendMsgpack(nil, data, m.Packet.Attachments)
		if err != nil {
			return nil, err
		}
		data = base64.StdEncoding.AppendEncode(nil, packed)
	}
	return []command{s.add(s.stream(m.Namespace), "*",
		fieldUID, s.self, fieldNamespace, m.Namespace, fieldType, strconv.Itoa(kind), fieldData, data, fieldStamp, string(mark))}, nil
}

// add is the command that adds an entry to a stream.
func (s *streams) add(stream int, id string, fields ...any) command {
	name := s.names()[stream]
	return command{name, append([]any{"XADD", name, "MAXLEN", "~", s.opts.MaxLen, id}, fields...)}
}

func (s *streams) gap() (all []command, err error) {
	for i := range s.names() {
		all = append(all, s.mark(i, "*"))
	}
	return all, nil
}

func (s *streams) mark(stream int, id string) command {
	return s.add(stream, id, fieldUID, s.self, fieldStamp, gapMark)
}

func (s *streams) respond(to *cluster.Message, r *cluster.Response) (command, error) {
	payload, err := appendMsgpack(nil, clusterResponse(s.self, to, r), r.Parts)
	return s.command(s.of("", to.Namespace, to.From), payload, err)
}

func (s *streams) channels(namespace string) []channel {
	read := func(payload []byte) (incoming, error) { return readCluster(payload, attach) }
	return []channel{s.pubsub(s.of("", namespace), read), s.pubsub(s.of("", namespace, s.self), read)}
}

func (*streams) room(string, string) (channel, bool) { return channel{}, false }

func (s *streams) counted(namespace string) channel { return s.pubsub(s.of("", namespace), nil) }

// readEntry decodes an entry of a stream.
func readEntry(fields map[string]any) (incoming, error) {
	field := func(name string) string {
		s, _ := fields[name].(string)
		return s
	}
	kind, err := strconv.Atoi(field(fieldType))
	if err != nil {
		return incoming{}, errPacket
	}
	data, attachments := json.RawMessage(field(fieldData)), [][]byte(nil)
	switch {
	case len(data) > maxMessage:
		return incoming{}, errSize
	case len(data) > 0 && data[0] != '{':
		packed, err := base64.StdEncoding.DecodeString(string(data))
		if err != nil {
			return incoming{}, errMsgpack
		}
		if data, attachments, err = fromMsgpack(packed, attach); err != nil {
			return incoming{}, err
		}
	case !utf8.Valid(data):
		return incoming{}, errUTF8
	}
	in, err := readClusterData(field(fieldUID), field(fieldNamespace), kind, data, attachments)
	if err == nil && in.message != nil {
		in.seq, in.message.Position = stamp(field(fieldStamp)).parse()
	}
	return in, err
}
