package websocket

import (
	"errors"
	"io"
	"slices"
	"syscall"
	"unicode/utf8"
)

// readLoop reads until the connection ends or another goroutine takes over.
func (c *Conn) readLoop() {
	t, err := c.begin(), error(nil)
	if t.w == 0 { // nothing was left over by the HTTP server or an overtaken turn
		t.finish()
		t, err = c.wait()
	}
	for err == nil {
		err = c.drain(t)
		lost := t.lost()
		t.finish()
		if lost {
			return
		}
		if err != nil {
			c.refuse(closeError(err))
			return
		}
		c.Flush()
		t, err = c.wait()
	}
	c.handler.Closed(c, c.ended(closeError(err)))
}

// closeError makes err a *CloseError: what is not one came from the network.
func closeError(err error) *CloseError {
	var e *CloseError
	if errors.As(err, &e) {
		return e
	}
	return &CloseError{Code: StatusAbnormal, Err: err}
}

// refuse ends the connection after a close frame of the client, which it
// answers, or after an error of the client, which it names.
func (c *Conn) refuse(e *CloseError) {
	c.mu.Lock()
	c.closeLocked(e)
	c.closeWhenSent = e.Remote
	reported := c.closeErr
	c.flushLocked()
	c.mu.Unlock()
	c.handler.Closed(c, reported)
	if !e.Remote {
		c.discard()
	}
}

// discard reads until the client has closed or the close timeout has passed.
// Closing a socket with unread bytes in it would destroy the close frame
// before the client sees it.
func (c *Conn) discard() {
	for {
		t, err := c.wait()
		if err != nil {
			c.Abort()
			return
		}
		t.finish()
	}
}

// wait blocks until there are bytes to handle.
func (c *Conn) wait() (*Turn, error) {
	if c.raw == nil {
		return c.waitBlocking()
	}
	w := waiter{c: c}
	if err := c.raw.Read(w.try); err != nil {
		return nil, err
	}
	return w.t, w.err
}

// waiter is one wait for a readable socket. It exists so that no buffer does
// while the socket is not readable.
type waiter struct {
	c   *Conn
	t   *Turn
	err error
}

func (w *waiter) try(fd uintptr) bool {
	t := w.c.begin()
	for {
		n, err := syscall.Read(int(fd), t.buf[t.w:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			t.finish()
			return false
		case err != nil:
			w.err = err
		case n == 0:
			w.err = io.EOF
		}
		if w.err != nil {
			t.finish()
			return true
		}
		t.w += n
		w.t = t
		return true
	}
}

// waitBlocking is wait for connections that can only be read as a stream.
func (c *Conn) waitBlocking() (*Turn, error) {
	t := c.begin()
	n, err := c.nc.Read(t.buf[t.w:])
	if n == 0 && err != nil {
		t.finish()
		return nil, err
	}
	t.w += n
	return t, nil
}

// begin takes a turn with room to read into: behind the incomplete frame, if
// there is one.
func (c *Conn) begin() *Turn {
	t := turns.Get().(*Turn)
	t.c = c
	t.buf = t.own[:]
	if c.rest == nil {
		return t
	}
	if need := frameSize(c.rest); len(c.rest) < readSize && need <= readSize {
		t.w = copy(t.buf, c.rest)
		return t
	}
	// Grow as bytes arrive, not as the header promises: a client can promise
	// a lot for nothing.
	if len(c.rest) == cap(c.rest) {
		c.rest = slices.Grow(c.rest, len(c.rest))
	}
	t.buf, t.w = c.rest[:cap(c.rest)], len(c.rest)
	return t
}

// frameSize is the size of the frame that b begins, or 0 if b is too short to tell.
func frameSize(b []byte) int {
	h, err := parseHeader(b, true)
	if err != nil {
		return 0
	}
	return h.size + h.length
}

// drain handles everything in the turn's buffer and keeps what is incomplete
// for the next.
func (c *Conn) drain(t *Turn) error {
	c.rest = nil
	for t.r < t.w {
		n, err := c.frame(t)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if t.lost() {
			return nil
		}
	}
	if t.r < t.w {
		c.keep(t)
	}
	return nil
}

// keep saves the incomplete frame at the end of the turn's buffer.
func (c *Conn) keep(t *Turn) {
	left := t.buf[t.r:t.w]
	if &t.buf[0] != &t.own[0] {
		c.rest = t.buf[:copy(t.buf, left)]
		return
	}
	c.rest = append(make([]byte, 0, max(len(left), 512)), left...)
}

// frame handles the frame at the start of the buffer. It returns 0 when the
// frame is not complete yet.
func (c *Conn) frame(t *Turn) (int, error) {
	b := t.buf[t.r:t.w]
	h, err := parseHeader(b, false)
	if err == errShort {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !h.op.isControl() && len(c.fragment)+h.length > c.srv.opts.MaxMessage {
		return 0, &CloseError{Code: StatusTooBig, Reason: "message too big"}
	}
	size := h.size + h.length
	if len(b) < size {
		return 0, nil
	}
	payload := b[h.size:size:size]
	unmask(payload, h.mask)
	t.r += size
	if h.op.isControl() {
		return size, c.control(h.op, payload)
	}
	return size, c.data(t, h, payload)
}

// control handles a control frame (section 5.5).
func (c *Conn) control(op Opcode, payload []byte) error {
	switch op {
	case opPing:
		var buf [maxControl + 2]byte
		c.deferSend(AppendFrame(buf[:0], opPong, payload))
	case opPong:
		c.handler.Pong(c)
	case opClose:
		e, err := parseClose(payload)
		if err != nil {
			return err
		}
		return e
	}
	return nil
}

// data handles a text or binary frame, whole or a fragment (section 5.4).
func (c *Conn) data(t *Turn, h header, payload []byte) error {
	switch {
	case h.op == opContinuation && c.fragOp == 0:
		return protocolError("continuation without a beginning")
	case h.op != opContinuation && c.fragOp != 0:
		return protocolError("new message within a fragmented one")
	case h.fin && c.fragOp == 0:
		return c.deliver(t, h.op, payload)
	}
	if c.fragOp == 0 {
		c.fragOp = h.op
	}
	c.fragment = append(c.fragment, payload...)
	if !h.fin {
		return nil
	}
	op, message := c.fragOp, c.fragment
	c.fragOp, c.fragment = 0, nil
	return c.deliver(t, op, message)
}

func (c *Conn) deliver(t *Turn, op Opcode, message []byte) error {
	if op == OpText && !utf8.Valid(message) {
		return &CloseError{Code: StatusInvalidPayload, Reason: "text is not UTF-8"}
	}
	c.handler.Message(c, t, op, message)
	return nil
}
