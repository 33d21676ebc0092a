package redis

import (
	"encoding/json"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A note on the wire. JavaScript servers do not listen to its channels.
type note struct {
	Topic string `json:"topic"`
	From  string `json:"from"`
	Data  []byte `json:"data,omitempty"`
}

// topicGap tells that the sender lost something that it should have published.
const topicGap = "redis.gap"

// notes is the channel of notes for a server, or for all.
func (b *Bus) notes(to string) string {
	name := b.opts.Prefix + "-roomcast"
	if to != "" {
		name += "#" + to
	}
	return name
}

// Send implements [cluster.Notes].
func (b *Bus) Send(n cluster.Note) {
	b.out.put(&item{note: &n, size: 256 + len(n.Data), stream: -1})
}

// Listen implements [cluster.Notes].
func (b *Bus) Listen(topic string, fn func(cluster.Note)) { b.topics[topic] = fn }

func (b *Bus) sendNote(n *cluster.Note) (command, error) {
	payload, err := json.Marshal(note{n.Topic, b.self, n.Data})
	shared := common{b.self, b.opts.Prefix}
	return shared.command(b.notes(n.To), payload, err)
}

// adapterGap tells the others, in the streams or by a note.
func (b *Bus) adapterGap() ([]command, error) {
	if b.streams != nil {
		return b.streams.gap()
	}
	return one(b.sendNote(&cluster.Note{Topic: topicGap}))
}

func (b *Bus) receiveNote(channel string, payload []byte) {
	n, err := readNote(payload)
	if err != nil {
		b.in.bad(channel, err)
		return
	}
	to := ""
	if channel == b.notes(b.self) {
		to = b.self
	}
	if n.From == b.self && to == "" {
		return
	}
	if n.Topic == topicGap {
		b.in.resync()
		return
	}
	if fn := b.topics[n.Topic]; fn != nil {
		b.status.notes.Add(1)
		fn(cluster.Note{Topic: n.Topic, From: n.From, To: to, Data: n.Data})
	}
}

func readNote(payload []byte) (n note, err error) {
	if len(payload) > maxMessage {
		return n, errSize
	}
	return n, unmarshal(payload, &n)
}
