package redis

import (
	"unicode/utf16"

	"github.com/roomcast/roomcast/internal/cluster"
)

// sharded is the adapter on SPUBLISH, in its mode "dynamic": what is said to one
// room goes over a channel of the room.
type sharded struct{ common }

func (*sharded) place(*cluster.Message) (stream int, echo bool) { return -1, false }

func (s *sharded) publish(m *cluster.Message, seq uint64) ([]command, error) {
	if clusterTypes[m.Kind] == 0 {
		return nil, nil
	}
	name := s.of("", m.Namespace)
	if m.Kind == cluster.Broadcast && m.RequestID == "" && len(m.Target.Rooms) == 1 {
		if c, ok := s.room(m.Namespace, m.Target.Rooms[0]); ok {
			name = c.name
		}
	}
	js, err := clusterMessage(s.self, m, makeStamp(seq, m.Position))
	if err != nil {
		return nil, err
	}
	payload, err := finish(js, m.Packet.Attachments)
	return []command{{name, []any{"SPUBLISH", name, payload}}}, err
}

func (s *sharded) respond(to *cluster.Message, r *cluster.Response) (command, error) {
	name := s.of("", to.Namespace, to.From)
	payload, err := finish(clusterResponse(s.self, to, r), r.Parts)
	return command{name, []any{"SPUBLISH", name, payload}}, err
}

func (s *sharded) channels(namespace string) []channel {
	return []channel{s.channel(s.of("", namespace)), s.channel(s.of("", namespace, s.self))}
}

func (*sharded) channel(name string) channel {
	return channel{ssubscribe, name, name, func(payload []byte) (incoming, error) { return readCluster(payload, attach) }}
}

// room leaves out what looks like the id of a session, as the JavaScript
// adapter does: 20 of its characters.
func (s *sharded) room(namespace, room string) (channel, bool) {
	if len(room) >= 20 && len(utf16.Encode([]rune(room))) == 20 {
		return channel{}, false
	}
	return s.channel(s.of("", namespace, room)), true
}

func (s *sharded) counted(namespace string) channel { return s.channel(s.of("", namespace)) }
