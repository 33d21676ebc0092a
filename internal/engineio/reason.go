package engineio

// A Reason says why a connection ended. The values are the ones that
// socket.io servers report, so dashboards and clients know them; those it has
// no word for are our own.
type Reason string

// The reasons.
const (
	ReasonTransportClose Reason = "transport close"      // the client went away or closed its transport
	ReasonTransportError Reason = "transport error"      // the network failed
	ReasonPingTimeout    Reason = "ping timeout"         // the client was silent for too long
	ReasonParseError     Reason = "parse error"          // the client sent something malformed
	ReasonForcedClose    Reason = "forced server close"  // the program closed the connection
	ReasonShutdown       Reason = "server shutting down" // the server is stopping
	ReasonSlow           Reason = "send buffer full"     // the client does not read what it is sent
	ReasonTooBig         Reason = "payload too big"      // a message exceeded MaxPayload
)
