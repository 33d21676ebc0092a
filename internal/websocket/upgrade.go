package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
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
	key, err := checkHandshake(w, r)
	if err != nil {
		return nil, nil, err
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
	c.out.copy(appendAnswer(nil, key, header))
	return c, buffered, nil
}

// checkHandshake applies section 4.2.1 and returns the client's key.
func checkHandshake(w http.ResponseWriter, r *http.Request) (key string, err error) {
	refuse := func(code int, why string) (string, error) {
		http.Error(w, why, code)
		return "", errors.Join(ErrHandshake, errors.New(why))
	}
	key = r.Header.Get("Sec-WebSocket-Key")
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusBadRequest, "a WebSocket handshake is a GET of HTTP/1.1")
	case !hasToken(r.Header, "Connection", "upgrade"), !hasToken(r.Header, "Upgrade", "websocket"):
		w.Header().Set("Upgrade", "websocket")
		return refuse(http.StatusUpgradeRequired, "this address speaks WebSocket only")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return refuse(http.StatusUpgradeRequired, "WebSocket version 13 is required")
	}
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 {
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return key, nil
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
