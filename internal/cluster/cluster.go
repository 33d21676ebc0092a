// Package cluster is what the instances of a server say to each other, and the
// seam between those who say it and what carries it.
//
// A [Bus] carries two kinds of things. A [Message] is about one namespace and
// is understood by every server in the cluster, also by those of the
// JavaScript implementation; its answers are [Response]s. A [Note] is between
// servers of this program alone.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Kind says what a [Message] asks for.
type Kind uint8

// The kinds of messages. Those that are answered carry a RequestID.
const (
	Broadcast      Kind = iota + 1 // emit Packet to the sessions that Target selects; answered if it has a RequestID
	Join                           // put those sessions into Rooms
	Leave                          // take them out of Rooms
	Disconnect                     // end them, with Close their connections too
	FetchSockets                   // describe them; answered with Sockets
	ServerSideEmit                 // hand Packet to the servers themselves; answered with one Ack each if it has a RequestID
	ListSockets                    // the ids of the sessions in Target.Rooms; answered with Rooms (classic adapter only)
	ListRooms                      // the names of all rooms; answered with Rooms (classic adapter only)
)

// A Message is what one server tells the others about a namespace. It must not
// be changed once it has been published or received.
type Message struct {
	Kind      Kind
	Namespace string // with its slash
	// From is the server that sent it, as it calls itself on the bus. Those
	// that only emit say "emitter", or nothing.
	From string
	// RequestID ties responses to it; "" wants none.
	RequestID string
	Packet    Packet
	Target    Target
	Rooms     []string // of Join and Leave
	Close     bool     // of Disconnect
	// Volatile messages may be lost.
	Volatile bool
	// Timeout is how long the sender of a broadcast waits for acks.
	Timeout time.Duration
	// Position is where the message stands in the history of its room; zero if
	// it is not numbered, as what other programs publish.
	Position Position
	// ID is where it stands in the order of the cluster. Only buses that are
	// [Bus.Ordered] set it, on messages that they deliver.
	ID ID
}

// A Packet is the name of an event and its arguments.
type Packet struct {
	// Args are JSON. The first is the name of the event, a string. Attachments
	// are the binary values that {"_placeholder":true,"num":n} stands for.
	Args        []json.RawMessage
	Attachments [][]byte
}

// A Target selects sessions: those in any of Rooms, or all if there are none,
// but not those in a room of Except. A session's id is the name of a room that
// it alone is in.
type Target struct {
	Rooms, Except []string
}

// A Position is the number of a publication in the history of its room.
type Position struct {
	Epoch  string // of the history; numbers of different epochs do not compare
	Offset uint64 // from 1; 0 is no number
	// Prev is the offset of the publication before it, which tells who has not
	// seen that one. It is Offset if nobody knows.
	Prev uint64
}

// A Response answers a message with a RequestID.
type Response struct {
	RequestID string
	Sockets   []Socket        // to FetchSockets
	Rooms     []string        // to ListSockets and ListRooms
	Clients   int             // to Broadcast: how many sessions will ack
	Acked     bool            // Ack is the ack of one session, or of one server
	Ack       json.RawMessage // one value; of several arguments an array of them, null for none
	Parts     [][]byte        // the attachments of Ack
}

// A Socket is a session somewhere in the cluster.
type Socket struct {
	ID        string          `json:"id"`
	Handshake json.RawMessage `json:"handshake"` // an object
	Rooms     []string        `json:"rooms"`
	Data      json.RawMessage `json:"data"`
}

// A Receiver takes what a bus delivers. Its methods are called one at a time
// for each namespace, in order, and must not block.
type Receiver interface {
	// Receive is given what other servers publish; by an ordered bus also the
	// broadcasts of this one.
	Receive(m *Message)
	// Respond is given the answers to the messages of this server.
	Respond(namespace string, r *Response)
	// Resync is called when messages may have been missed: the connection was
	// lost, or what was to be read is gone.
	Resync()
}

// An Enterer is a [Receiver] that wants to know when what is published to a room
// arrives: what was between [Bus.Enter] and Entered may have been missed. Only
// buses that carry rooms on channels of their own call it. Others than Enterers
// are told to Resync.
type Enterer interface {
	Entered(namespace, room string)
}

// A Bus carries messages between servers. Its methods may be called
// concurrently and never wait for the network unless they take a context.
type Bus interface {
	// Self is what this server calls itself: unique in the cluster, new with
	// each process.
	Self() string
	// Ordered reports whether broadcasts that are not volatile and have no
	// RequestID reach all servers, the sender included, in one order and with
	// an ID. If so the sender does not deliver them itself. While the bus is
	// down the sender still gets them back at once, without an ID and before
	// what it publishes later; the others get them when it is up again.
	Ordered() bool
	// Open begins to deliver the messages about namespaces. It is called once,
	// before Run.
	Open(namespaces []string, r Receiver)
	// Publish tells the other servers. In what it publishes about one
	// namespace nothing overtakes.
	Publish(m *Message)
	// Respond answers a message that was received.
	Respond(to *Message, r *Response)
	// Servers returns how many servers share a namespace, this one included,
	// those of other programs too.
	Servers(ctx context.Context, namespace string) (int, error)
	// Enter and Exit tell that a room of a namespace has got its first member
	// here, or lost its last: buses that carry rooms on channels of their own
	// subscribe to those.
	Enter(namespace, room string)
	Exit(namespace, room string)
	// Run carries until ctx ends. It goes on trying whatever happens.
	Run(ctx context.Context) error
	// Status returns how it is doing.
	Status() Status

	Notes
	Sessions
}

// Status is how a bus is doing.
type Status struct {
	Up       bool
	Since    time.Time // when Up last changed
	Error    string    // why it is not up
	Waiting  int       // messages to publish when it is up again
	Lost     int64     // messages that others will not get: too many waited
	Received int64
	Sent     int64
	// Reconnects is how often the connection came back.
	Reconnects int64
}

// A Note is something that one server of this program tells others: at most
// once, in order from each sender on each topic, and lost while the bus is
// down.
type Note struct {
	Topic string // letters, digits and dots
	From  string // [Bus.Self] of the sender
	// To is the server that it is for; "" is all but the sender.
	To   string
	Data []byte
}

// Notes is the part of a bus that carries notes.
type Notes interface {
	Send(n Note)
	// Listen sets what is called with the notes of a topic, before Run. fn
	// must not block.
	Listen(topic string, fn func(Note))
}

// ErrUnavailable is returned while a bus is down.
var ErrUnavailable = errors.New("the bus is not available")

// Sessions is the part of a bus that keeps what clients come back to. A bus
// that is not ordered keeps none.
type Sessions interface {
	// Save keeps a session for some time.
	Save(ctx context.Context, s *SavedSession, ttl time.Duration) error
	// Take returns a saved session and removes it, so that of several callers
	// one gets it; nil if there is none.
	Take(ctx context.Context, pid string) (*SavedSession, error)
	// Since returns the broadcasts of a namespace after id, in order, as far as
	// they are kept. It reports false if some of them are not.
	Since(ctx context.Context, namespace string, id ID) (messages []*Message, complete bool, err error)
}

// A SavedSession is a session whose client may come back.
type SavedSession struct {
	ID    string // public
	PID   string // secret
	Rooms []string
	Data  json.RawMessage
	// Private is what servers of this program need besides. It is nil of
	// sessions that others have saved.
	Private []byte
}
