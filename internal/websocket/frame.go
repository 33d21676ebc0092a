package websocket

import (
	"encoding/binary"
	"errors"
)

// Opcode says what a frame carries (RFC 6455, section 5.2).
type Opcode byte

// The opcodes of RFC 6455, section 11.8.
const (
	opContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	opClose        Opcode = 0x8
	opPing         Opcode = 0x9
	opPong         Opcode = 0xA
)

func (o Opcode) isControl() bool { return o&0x8 != 0 }

const (
	finBit        = 0x80
	rsv1Bit       = 0x40
	rsv23Bits     = 0x30
	maskBit       = 0x80
	maxControl    = 125 // bytes of a control frame's payload, section 5.5
	maxHeaderSize = 14  // 2 + 8 of length + 4 of mask
)

// header is the decoded start of a client's frame.
type header struct {
	op         Opcode
	fin        bool
	compressed bool // RSV1, meaningful only with permessage-deflate
	length     int
	mask       uint32
	size       int // bytes of the header itself
}

// errShort tells that more bytes are needed.
var errShort = errors.New("websocket: incomplete frame header")

// parseHeader decodes and checks the header at the start of b. It returns
// errShort when b ends before the header does, or a *CloseError.
func parseHeader(b []byte, deflate bool) (header, error) {
	if len(b) < 2 {
		return header{}, errShort
	}
	h := header{
		op:         Opcode(b[0] & 0x0f),
		fin:        b[0]&finBit != 0,
		compressed: b[0]&rsv1Bit != 0,
		length:     int(b[1] &^ maskBit),
		size:       6,
	}
	if err := checkHeader(h, b, deflate); err != nil {
		return header{}, err
	}
	switch h.length {
	case 126:
		h.size = 8
		if len(b) < h.size {
			return header{}, errShort
		}
		h.length = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.size = maxHeaderSize
		if len(b) < h.size {
			return header{}, errShort
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n > 1<<62 {
			return header{}, protocolError("frame length out of range")
		}
		h.length = int(n)
	}
	if len(b) < h.size {
		return header{}, errShort
	}
	h.mask = binary.LittleEndian.Uint32(b[h.size-4:])
	return h, nil
}

// checkHeader applies the rules of section 5 that need only the first two bytes.
func checkHeader(h header, b []byte, deflate bool) error {
	switch {
	case b[0]&rsv23Bits != 0, h.compressed && !deflate:
		return protocolError("reserved bit set")
	case b[1]&maskBit == 0:
		return protocolError("client frame is not masked")
	case h.op > OpBinary && h.op < opClose, h.op > opPong:
		return protocolError("unknown opcode")
	case h.op.isControl() && h.length > maxControl:
		return protocolError("control frame too long")
	case h.op.isControl() && !h.fin:
		return protocolError("control frame is fragmented")
	case h.op.isControl() && h.compressed, h.op == opContinuation && h.compressed:
		return protocolError("reserved bit set")
	}
	return nil
}

// unmask applies the client's masking key to b in place (section 5.3).
func unmask(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3)))
	}
}

// AppendHeader appends the header of a final, unmasked frame with n bytes of
// payload to dst: what a server sends.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	return appendHeader(dst, byte(op)|finBit, n)
}

func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n <= maxControl:
		return append(dst, first, byte(n))
	case n <= 0xffff:
		return append(dst, first, 126, byte(n>>8), byte(n))
	default:
		dst = append(dst, first, 127)
		return binary.BigEndian.AppendUint64(dst, uint64(n))
	}
}

// AppendFrame appends a whole server frame with the given payload to dst.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// SplitFrame returns the opcode, the payload and the rest of b, which starts
// with a frame made by [AppendFrame]. It is how bytes that were framed for a
// WebSocket are read back when they must leave by another way.
func SplitFrame(b []byte) (op Opcode, payload, rest []byte) {
	op = Opcode(b[0] & 0x0f)
	n, at := int(b[1]), 2
	switch n {
	case 126:
		n, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		n, at = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	return op, b[at : at+n], b[at+n:]
}
