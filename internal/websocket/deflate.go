package websocket

import (
	"bytes"
	"compress/flate"
	"io"
	"net/http"
	"strings"
	"sync"
)

// permessage-deflate (RFC 7692), without context takeover in either direction:
// a window of 32 KB for each connection would cost more than everything else
// about it, and a message compressed once could not go to many.

const (
	deflateOffer  = "permessage-deflate"
	deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
)

// acceptsDeflate reports whether a client offers the extension in a way that
// can be met: windows smaller than the usual one cannot.
func acceptsDeflate(h http.Header) bool {
	for _, line := range h.Values("Sec-WebSocket-Extensions") {
		for offer := range strings.SplitSeq(line, ",") {
			if meets(strings.Split(offer, ";")) {
				return true
			}
		}
	}
	return false
}

func meets(offer []string) bool {
	if strings.TrimSpace(offer[0]) != deflateOffer {
		return false
	}
	seen := make(map[string]bool)
	for _, param := range offer[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		switch {
		case seen[name]:
			return false
		case name == "client_max_window_bits":
		case name == "server_max_window_bits" && strings.Trim(value, `"`) == "15":
		case (name == "server_no_context_takeover" || name == "client_no_context_takeover") && value == "":
		default:
			return false
		}
		seen[name] = true
	}
	return true
}

// syncTail ends what a sender compressed (section 7.2.1), which it leaves out;
// the block behind it tells the decompressor that nothing more comes.
const syncTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate returns what a compressed message holds, unless that is longer than
// limit.
func inflate(compressed []byte, limit int) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	r.(flate.Resetter).Reset(io.MultiReader(bytes.NewReader(compressed), strings.NewReader(syncTail)), nil)
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, int64(limit)+1))
	switch {
	case n > int64(limit):
		return nil, &CloseError{Code: StatusTooBig, Reason: ReasonTooBig}
	case err != nil:
		return nil, &CloseError{Code: StatusInvalidPayload, Reason: "message is not compressed as agreed"}
	}
	return out.Bytes(), nil
}

// deflateAbove is the size from which a message is worth compressing, in bytes.
const deflateAbove = 1024

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed)
	return w
}}

// Deflate returns frames with those compressed that are worth it, for
// connections that are [Conn.Compressed].
func Deflate(frames []byte) []byte {
	if len(frames) < deflateAbove {
		return frames
	}
	var out []byte
	for rest := frames; len(rest) > 0; {
		op, payload, next := SplitFrame(rest)
		frame := rest[:len(rest)-len(next)]
		rest = next
		if len(payload) >= deflateAbove && !op.isControl() {
			frame = deflate(op, payload)
		}
		out = append(out, frame...)
	}
	return out
}

func deflate(op Opcode, payload []byte) []byte {
	var z bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	w.Reset(&z)
	w.Write(payload)
	w.Flush()
	deflaters.Put(w)
	body := bytes.TrimSuffix(z.Bytes(), []byte(syncTail[:4]))
	return append(appendHeader(nil, byte(op)|finBit|rsv1Bit, len(body)), body...)
}
