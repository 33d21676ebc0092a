// Package websocket is the server side of RFC 6455, written for many mostly
// idle connections and for one message going to thousands of them.
//
// # Who owns which goroutine
//
// A connection costs one goroutine: its reader, started by [Conn.Start]. It
// holds no buffer while it waits; a buffer is taken from a pool when the
// kernel says that there is something to read. [Handler.Message] runs on it.
//
// A handler that has finished taking a message in, and now runs work of
// unknown length, wraps that work in [Turn.Work]. Work runs where it is
// called, so the usual short one costs no switch of goroutines; but when it
// lasts longer than [Options.HandoverAfter] a fresh goroutine takes over
// reading, and pings, closes and other messages are seen meanwhile.
//
// Writes never block their caller. They go to the kernel at once when it has
// room; otherwise they are queued and one more goroutine, the flusher, lives
// until the queue is empty.
//
// # What full means
//
// The queue of a connection is bounded by [Options.SendLimit] bytes. What
// does not fit closes the connection: the unsent frames are dropped, a close
// frame with code [StatusPolicyViolation] and the reason "send buffer full"
// takes their place, so a client that resumes reading learns why. Callers
// that can do without a message ask [Conn.Writable] first.
//
// # Ending
//
// [Handler.Closed] is called exactly once, never from within a write, and no
// call of Message starts after it. [Conn.Close] performs the closing
// handshake with a time limit, [Conn.Abort] does not.
package websocket
