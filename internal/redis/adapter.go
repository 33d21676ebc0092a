package redis

import (
	"bytes"
	"strings"

	"github.com/roomcast/roomcast/internal/cluster"
)

// An adapter is what the three ways to carry messages do differently.
type adapter interface {
	// place returns the number of the stream that a message goes into, -1 if it
	// goes into none, and whether this server delivers it when it comes back.
	place(m *cluster.Message) (stream int, echo bool)
	// publish and respond return the commands for an item. publish returns none
	// for what the adapter does not have.
	publish(m *cluster.Message, seq uint64) ([]command, error)
	respond(to *cluster.Message, r *cluster.Response) (command, error)
	// channels are what a namespace is heard on.
	channels(namespace string) []channel
	// room is the channel of a room, if it has one of its own.
	room(namespace, room string) (channel, bool)
	// counted is the channel that every server is subscribed to.
	counted(namespace string) channel
}

// A command is for Redis. In a Redis Cluster its key tells for which node.
type command struct {
	key  string
	args []any
}

// subscribing is the command that subscribes to a channel.
type subscribing string

const (
	subscribe  subscribing = "subscribe"
	psubscribe subscribing = "psubscribe"
	ssubscribe subscribing = "ssubscribe"
)

// A channel is something to subscribe to.
type channel struct {
	how  subscribing
	name string // or pattern
	key  string // as of command
	read func(payload []byte) (incoming, error)
}

// common is what the adapters share.
type common struct {
	self, prefix string
}

// of is the name of a channel: prefix, kind, namespace, and what else there is.
func (c *common) of(kind, namespace string, more ...string) string {
	return c.prefix + kind + "#" + namespace + "#" + strings.Join(append(more, ""), "#")
}

// pubsub is a channel of PUBLISH. In a Redis Cluster every node delivers what
// is published on any; that all of it goes through one keeps the order.
func (c *common) pubsub(name string, read func([]byte) (incoming, error)) channel {
	return channel{subscribe, name, c.prefix, read}
}

func (c *common) command(name string, payload []byte, err error) (command, error) {
	return command{c.prefix, []any{"PUBLISH", name, payload}}, err
}

// classic is the adapter on PUBLISH.
type classic struct {
	common
	asked *requests
}

func (*classic) place(*cluster.Message) (stream int, echo bool) { return -1, false }

func (c *classic) publish(m *cluster.Message, seq uint64) ([]command, error) {
	s := makeStamp(seq, m.Position)
	if m.Kind == cluster.Broadcast && m.RequestID == "" {
		name := c.of("", m.Namespace)
		if len(m.Target.Rooms) == 1 {
			name = c.of("", m.Namespace, m.Target.Rooms[0])
		}
		payload, err := classicEvent(c.self, m, s)
		return one(c.command(name, payload, err))
	}
	if m.RequestID != "" {
		c.asked.add(m.RequestID, m.Kind)
	}
	payload, err := classicRequest(c.self, m, s)
	return one(c.command(c.of("-request", m.Namespace), payload, err))
}

func one(c command, err error) ([]command, error) { return []command{c}, err }

func (c *classic) respond(to *cluster.Message, r *cluster.Response) (command, error) {
	payload, err := classicResponse(to, r)
	return c.command(c.of("-response", to.Namespace), payload, err)
}

func (c *classic) channels(namespace string) []channel {
	// What this server says comes back to it, and begins so.
	own := append([]byte{0x93}, appendStr(nil, []byte(c.self))...)
	answers := func(payload []byte) (incoming, error) {
		return readClassicResponse(namespace, payload, c.asked.kind)
	}
	return []channel{
		{psubscribe, glob.Replace(c.of("", namespace)) + "*", c.prefix, func(payload []byte) (incoming, error) {
			if bytes.HasPrefix(payload, own) {
				return incoming{}, errOther
			}
			return readClassicEvent(namespace, payload)
		}},
		c.pubsub(c.of("-request", namespace), func(payload []byte) (incoming, error) { return readClassicRequest(namespace, payload) }),
		c.pubsub(c.of("-response", namespace), answers),
		c.pubsub(c.of("-response", namespace, c.self), answers),
	}
}

// glob escapes what means something in a pattern.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func (*classic) room(string, string) (channel, bool) { return channel{}, false }

func (c *classic) counted(namespace string) channel {
	return c.pubsub(c.of("-request", namespace), nil)
}
