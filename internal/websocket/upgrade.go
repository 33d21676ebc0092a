package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"strings"
)

// ErrHandshake is wrapped by what Upgrade returns for a request that is not a
// WebSocket handshake. The response has then been written.
var ErrHandshake = errors.New("websocket: bad handshake")

// acceptGUID is the constant of RFC 6455, section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Upgrade answers a WebSocket handshake (section 4.2) and takes the
// connection over. The answer leaves with the first frames that are sent, or
// with [Conn.Start]. header is added to the answer and may be nil; its
// Sec-WebSocket-Protocol, if any, is the subprotocol chosen.
//
// The returned bytes are what the HTTP server had read ahead; they go to
// Start. Nothing of the HTTP server or of the request is kept.
func (s *Server) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header) (*Conn, []byte, error) {
	if e := CheckHandshake(r); e != nil {
		maps.Copy(w.Header(), e.Header)
		http.Error(w, e.Reason, e.Status)
		return nil, nil, e
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this connection cannot become a WebSocket", http.StatusInternalServerError)
		return nil, nil, err
	}
	var buffered []byte
	if n := rw.Reader.Buffered(); n > 0 {
		buffered, _ = rw.Reader.Peek(n)
	}
	c := &Conn{srv: s, out: outbox{limit: s.opts.SendLimit}}
	if !c.adopt(nc) {
		c.nc = nc
	}
	if s.opts.Compress && acceptsDeflate(r.Header) {
		c.compressed = true
		header = header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Sec-WebSocket-Extensions", deflateAnswer)
	}
	c.out.copy(appendAnswer(nil, r.Header.Get("Sec-WebSocket-Key"), header))
	return c, buffered, nil
}

// A HandshakeError is why a request is not a WebSocket handshake, and how to
// answer it.
type HandshakeError struct {
	Status int
	Header http.Header // of the answer
	Reason string
}

func (e *HandshakeError) Error() string { return ErrHandshake.Error() + ": " + e.Reason }

func (e *HandshakeError) Unwrap() error { return ErrHandshake }

// CheckHandshake applies section 4.2.1, nil if a request is in order. Upgrade
// does so too, and answers what is not in plain text.
func CheckHandshake(r *http.Request) *HandshakeError {
	refusal := func(status int, header, value, why string) *HandshakeError {
		e := &HandshakeError{Status: status, Header: http.Header{}, Reason: why}
		if header != "" {
			e.Header.Set(header, value)
		}
		return e
	}
	switch {
	case r.Method != http.MethodGet:
		return refusal(http.StatusMethodNotAllowed, "Allow", http.MethodGet, "a WebSocket handshake is a GET")
	case !r.ProtoAtLeast(1, 1):
		return refusal(http.StatusBadRequest, "", "", "a WebSocket handshake is a request of HTTP/1.1")
	case !hasToken(r.Header, "Connection", "upgrade"), !hasToken(r.Header, "Upgrade", "websocket"):
		return refusal(http.StatusUpgradeRequired, "Upgrade", "websocket", "this address speaks WebSocket only: a handshake has the headers Connection: Upgrade and Upgrade: websocket, which a proxy may have to be told to pass on")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return refusal(http.StatusUpgradeRequired, "Sec-WebSocket-Version", "13", "WebSocket version 13 is required")
	}
	if raw, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key")); err != nil || len(raw) != 16 {
		return refusal(http.StatusBadRequest, "", "", "Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// hasToken reports whether a comma-separated header contains a token.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

func appendAnswer(b []byte, key string, header http.Header) []byte {
	sum := sha1.Sum([]byte(key + acceptGUID))
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	for name, values := range header {
		for _, v := range values {
			b = append(b, "\r\n"...)
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, strings.NewReplacer("\r", "", "\n", "").Replace(v)...)
		}
	}
	return append(b, "\r\n\r\n"...)
}
