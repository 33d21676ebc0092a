package websocket

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// A Client is the client side of a connection, for load generators and tests.
// One goroutine may read while another writes.
type Client struct {
	net.Conn
	r   *bufio.Reader
	buf []byte
}

// Dial connects to a ws://, wss://, http:// or https:// address. A Host in header is the name
// that the server is asked for. A refusal of the server is
// returned as an error together with its response, whose body can be read.
func Dial(ctx context.Context, address string, header http.Header) (*Client, *http.Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, err
	}
	nc, err := connect(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	u.Scheme = "http"
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {base64.StdEncoding.EncodeToString(nonce[:])},
	}}
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	c := &Client{Conn: nc, r: bufio.NewReaderSize(nc, 4096)}
	res, err := c.handshake(req)
	if err != nil {
		nc.Close()
		return nil, res, err
	}
	return c, res, nil
}

// connect connects to the host of an address, with TLS if its scheme says so.
func connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	secure := u.Scheme == "wss" || u.Scheme == "https"
	port := u.Port()
	switch {
	case port != "":
	case secure:
		port = "443"
	default:
		port = "80"
	}
	address := net.JoinHostPort(u.Hostname(), port)
	if secure {
		d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}
		return d.DialContext(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

func (c *Client) handshake(req *http.Request) (*http.Response, error) {
	if err := req.Write(c.Conn); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.r, req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return res, fmt.Errorf("%w: %s", ErrHandshake, res.Status)
	}
	return res, nil
}

// ReadMessage returns the next text or binary message, which is valid until
// the following call. It answers pings. When the server closes it returns a
// *CloseError.
func (c *Client) ReadMessage() (Opcode, []byte, error) {
	for {
		op, payload, err := c.readFrame()
		switch {
		case err != nil:
			return 0, nil, err
		case op == opPing:
			if err := c.WriteMessage(opPong, payload); err != nil {
				return 0, nil, err
			}
		case op == opClose:
			e, err := parseClose(payload)
			if err != nil {
				return 0, nil, err
			}
			c.WriteMessage(opClose, payload)
			return 0, nil, e
		case op != opPong:
			return op, payload, nil
		}
	}
}

func (c *Client) readFrame() (Opcode, []byte, error) {
	var head [10]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		return 0, nil, err
	}
	n, more := int(head[1]), 0
	switch n {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if _, err := io.ReadFull(c.r, head[2:2+more]); err != nil {
		return 0, nil, err
	}
	switch more {
	case 2:
		n = int(binary.BigEndian.Uint16(head[2:]))
	case 8:
		n = int(binary.BigEndian.Uint64(head[2:]))
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err := io.ReadFull(c.r, c.buf)
	return Opcode(head[0] & 0x0f), c.buf, err
}

// WriteMessage sends one message, or a control frame.
func (c *Client) WriteMessage(op Opcode, payload []byte) error {
	_, err := c.Write(AppendClientFrame(nil, op, payload))
	return err
}

// AppendClientFrame appends a frame as a client sends it to dst, masked with
// a key of zeros: masking protects proxies between browsers and servers, not
// a test from itself.
func AppendClientFrame(dst []byte, op Opcode, payload []byte) []byte {
	at := len(dst)
	dst = AppendHeader(dst, op, len(payload))
	dst[at+1] |= maskBit
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, payload...)
}

// Buffered reports whether ReadMessage may return without waiting.
func (c *Client) Buffered() bool { return c.r.Buffered() > 0 }

// Abort ends the connection as a process that crashes does, with RST: what is
// under way is gone.
func (c *Client) Abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
