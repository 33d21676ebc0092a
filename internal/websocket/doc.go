// Package websocket is the server side of RFC 6455, written for many mostly
// idle connections and for one message going to thousands of them.
//
// # Who owns which goroutine
//
// A connection has no goroutine. A few shards, as many as there are
// processors, wait for the connections in an epoll instance each and read
// whatever there is; [Handler.Message] runs on the shard's goroutine. An idle
// connection holds no buffer and no stack.
//
// Message must not block. A handler that has put a message in its place, and
// now does work of unknown length, puts that work between [Turn.Begin] and
// [Turn.End]. It stays where it is, so the usual short one costs no switch of
// goroutines; but when it lasts longer than [Options.HandoverAfter] a fresh
// goroutine takes over the shard, and other connections, pings, closes and
// further messages are seen meanwhile. A handler that can take in no more
// calls [Conn.Pause]: the connection is then not read until [Conn.Resume].
//
// Writes never block their caller. They go to the kernel at once when it has
// room; otherwise they are queued, and the shard goes on when there is room
// again.
//
// A connection that is encrypted, or on a system without epoll, has a
// goroutine that reads, and another while there is something to write. For
// the handler nothing changes.
//
// # What full means
//
// The queue of a connection is bounded by [Options.SendLimit] bytes. What
// does not fit closes the connection: the unsent frames are dropped, a close
// frame with code [StatusPolicyViolation] and the reason "send buffer full"
// takes their place, so a client that resumes reading learns why. Frames that
// are larger than the limit do not count: two of them may always be there, and
// several may wait up to eight times the limit. Callers
// that can do without a message ask [Conn.Writable] first; who has much to
// say waits for [Conn.Drain] in between.
//
// # Ending
//
// [Handler.Closed] is called exactly once, never from within a write, and no
// call of Message starts after it. Once the server closes, what the client
// still says is not handled. [Conn.Close] performs the closing handshake with
// a time limit, [Conn.Abort] does not.
package websocket
