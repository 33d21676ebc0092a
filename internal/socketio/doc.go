// Package socketio serves Socket.IO clients: versions 2, 3 and 4 of the
// JavaScript client. It is the only package that knows the Socket.IO library.
//
// # Who does what
//
// The library keeps namespaces, middleware and the adapter seam. Bytes are
// ours: package engineio is bound beneath the library (seam.go), CONNECT and
// DISCONNECT packets are handed to it one at a time for each connection
// (control.go), and EVENT and ACK packets never reach it. They go from the
// engine to the queue of the session (session.go) and from there to the
// router, in the order in which they came.
//
// # Queues
//
// A session's queue holds events that arrived before the namespace answered,
// and those that arrive while an earlier one is still being handled. It is
// bounded by [Options.QueueLen] events and [Options.QueueBytes] bytes. When it
// is full the connection is not read any further: nothing is dropped and
// nothing overtakes. Output is bounded by the engine, see there.
//
// # Order
//
// What is emitted to a session, published to its rooms and acknowledged
// reaches the client in the order of those calls.
package socketio
