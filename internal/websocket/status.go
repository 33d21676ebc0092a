package websocket

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Status is the code of a close frame (RFC 6455, section 7.4).
type Status uint16

// The codes this package sends or reports. Programs may use 3000 to 4999.
const (
	StatusNormal          Status = 1000
	StatusGoingAway       Status = 1001
	StatusProtocolError   Status = 1002
	StatusUnsupportedData Status = 1003
	StatusNoStatus        Status = 1005 // never on the wire: a close frame without a code
	StatusAbnormal        Status = 1006 // never on the wire: the connection ended without a close frame
	StatusInvalidPayload  Status = 1007
	StatusPolicyViolation Status = 1008
	StatusTooBig          Status = 1009
	StatusInternalError   Status = 1011
)

// ReasonSlow is the reason of the close frame that a client gets when it does
// not read what it is sent.
const ReasonSlow = "send buffer full"

// ReasonTooBig is that of the close frame with [StatusTooBig].
const ReasonTooBig = "message too big"

// A CloseError says how a connection ended.
type CloseError struct {
	Code   Status
	Reason string
	Remote bool  // the client closed first
	Err    error // the network error behind StatusAbnormal, or nil
}

func (e *CloseError) Error() string {
	side := "server"
	if e.Remote {
		side = "client"
	}
	if e.Err != nil {
		return fmt.Sprintf("websocket: closed abnormally: %v", e.Err)
	}
	return fmt.Sprintf("websocket: closed by %s with %d %q", side, e.Code, e.Reason)
}

func (e *CloseError) Unwrap() error { return e.Err }

func protocolError(reason string) *CloseError {
	return &CloseError{Code: StatusProtocolError, Reason: reason}
}

// onWire reports whether a peer may send the code (section 7.4.2).
func (s Status) onWire() bool {
	switch {
	case s >= 3000 && s <= 4999:
		return true
	case s >= 1000 && s <= 1014:
		return s != 1004 && s != StatusNoStatus && s != StatusAbnormal
	}
	return false
}

// parseClose decodes the payload of a client's close frame.
func parseClose(p []byte) (*CloseError, error) {
	if len(p) == 0 {
		return &CloseError{Code: StatusNoStatus, Remote: true}, nil
	}
	if len(p) == 1 {
		return nil, protocolError("close frame of one byte")
	}
	e := &CloseError{Code: Status(binary.BigEndian.Uint16(p)), Reason: string(p[2:]), Remote: true}
	if !e.Code.onWire() {
		return nil, protocolError("invalid close code")
	}
	if !utf8.ValidString(e.Reason) {
		return nil, &CloseError{Code: StatusInvalidPayload, Reason: "close reason is not UTF-8"}
	}
	return e, nil
}

// appendClose appends a close frame. A reason that does not fit is cut at a
// character boundary.
func appendClose(dst []byte, code Status, reason string) []byte {
	if code == StatusNoStatus || code == StatusAbnormal {
		return AppendHeader(dst, opClose, 0)
	}
	for len(reason) > maxControl-2 {
		_, n := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-n]
	}
	dst = AppendHeader(dst, opClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}
