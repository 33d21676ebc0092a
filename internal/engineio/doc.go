// Package engineio is an Engine.IO server: protocol 4 and, when allowed, 3;
// HTTP long-polling, WebSocket and the upgrade between them. It follows the
// prose specifications of the socket.io project and knows nothing of what its
// messages mean.
//
// # States
//
// A [Conn] is polling or on WebSocket; a polling one may be upgrading. The
// switch goes one way:
//
//	GET transport=polling ──► polling ──"2probe"──► upgrading ──"5"──► websocket
//	                             ▲                      │                 ▲
//	                             └──── probe failed ────┘                 │
//	GET transport=websocket ──────────────────────────────────────────────┘
//
// Output is kept as WebSocket frames whatever the state. A poll strips their
// headers; an upgrade sends what is pending as it is. So nothing is encoded
// twice and nothing changes place when the transport does.
//
// # Who owns which goroutine
//
// On WebSocket, [Session.Message] runs on the connection's reader, see package
// websocket. On polling it runs on the goroutine of the POST that carried the
// message; a second POST before the first is answered closes the connection,
// as the specification asks, so messages are never concurrent. One goroutine,
// [Server.Run], keeps all heartbeats on a wheel of ticks.
//
// On WebSocket the reader is shared with other connections. What may take long
// stands between [Turn.Begin] and [Turn.End], after the message has been put
// in its place in the order; others are then read by somebody else before
// long. A POST has no turn: what may take long goes to [Conn.Go], so that the
// answer need not wait for it. Message itself must never block: a session
// that can take in no more says so by [Conn.Hold].
//
// # What full means
//
// Output that a client does not fetch is bounded by [Options.SendLimit] bytes
// for each connection, on either transport. What does not fit closes it with
// [ReasonSlow]; a WebSocket client is told so by the close frame, a polling
// client by the close packet. A single message is sent whatever its size: those
// that are larger than the limit do not count against it, and may together
// come to eight times as much.
// [Conn.SendVolatile] drops what cannot leave at once, and counts it. Who has
// much to say waits for [Conn.Drain] in between.
//
// Input is bounded by [Conn.Hold]: a WebSocket is then not read, and a POST not
// answered, until [Conn.Release].
//
// # Ending
//
// [Session.Closed] is called exactly once, after the last Message has begun,
// and never from within a send. Afterwards the server holds nothing of the
// connection.
package engineio
