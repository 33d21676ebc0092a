package websocket

import (
	"errors"
	"unicode/utf8"
)

// handle handles what has been read of the turn's connection. It reports
// false when another goroutine has taken over reading.
func (c *Conn) handle(t *Turn) bool {
	if c.refused {
		c.rest = nil
		return true
	}
	if t.c != c {
		t.begin(c)
	}
	err := c.drain(t)
	lost := t.lost()
	if err != nil && !lost {
		c.refuse(closeError(err))
	}
	c.Flush()
	t.flushed()
	return !lost
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
// answers, or after an error of the client, which it names. What the client
// still sends is read and dropped until it has closed or the close timeout
// has passed: closing a socket with unread bytes in it would destroy the
// close frame before the client sees it.
func (c *Conn) refuse(e *CloseError) {
	c.refused = true
	c.fragment = nil
	c.mu.Lock()
	c.closeLocked(e)
	c.closeWhenSent = e.Remote
	reported := c.closeErr
	c.flushLocked()
	c.mu.Unlock()
	c.tell(reported)
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
// for the next. It stops, to go on later, when others have waited long enough.
func (c *Conn) drain(t *Turn) error {
	c.rest = nil
	begun := t.srv.watch.tick.Load()
	for frames := 0; t.r < t.w; frames++ {
		if frames == turnFrames || frames > 0 && t.srv.watch.tick.Load() > begun+1 {
			t.held = true
			c.later()
			break
		}
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
		if c.paused.Load() {
			t.held = true
			break
		}
	}
	if t.r < t.w {
		c.keep(t)
	}
	return nil
}

// turnFrames is how many frames of a connection are handled before others have
// their turn.
const turnFrames = 128

// later makes sure that the connection is come back to. A stream keeps nobody
// waiting.
func (c *Conn) later() {
	if c.nc == nil {
		c.shard.wake(c)
	}
}

// keep saves the incomplete frame at the end of the turn's buffer.
func (c *Conn) keep(t *Turn) {
	left := t.buf[t.r:t.w]
	if t.r == 0 && &t.buf[0] != &t.own[0] {
		c.rest = t.buf[:t.w]
		return
	}
	if &t.buf[0] != &t.own[0] { // it is the connection's already
		c.rest = t.buf[:copy(t.buf, left)]
		return
	}
	c.rest = append(make([]byte, 0, max(len(left), 512)), left...)
}

// frame handles the frame at the start of the buffer. It returns 0 when the
// frame is not complete yet.
func (c *Conn) frame(t *Turn) (int, error) {
	b := t.buf[t.r:t.w]
	if c.skip > 0 {
		n := min(c.skip, len(b))
		c.skip -= n
		t.r += n
		return n, nil
	}
	h, err := parseHeader(b, c.compressed)
	if err == errShort {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !h.op.isControl() && (c.deaf || len(c.fragment)+h.length > c.srv.opts.MaxMessage) {
		if err := c.tooBig(); err != nil {
			return 0, err
		}
		c.skip = h.length
		t.r += h.size
		return h.size, nil
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

// tooBig sees to it that the connection ends because of a message.
func (c *Conn) tooBig() error {
	told, ok := c.handler.(TooBigHandler)
	switch {
	case !ok:
		return &CloseError{Code: StatusTooBig, Reason: ReasonTooBig}
	case !c.deaf:
		c.deaf, c.fragment = true, nil
		told.TooBig(c)
	}
	return nil
}

// control handles a control frame (section 5.5).
func (c *Conn) control(op Opcode, payload []byte) error {
	switch op {
	case opPing:
		var buf [maxControl + 2]byte
		c.deferSend(AppendFrame(buf[:0], opPong, payload))
	case opPong:
		c.handler.Pong(c, payload)
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
		return c.deliver(t, h.op, payload, h.compressed)
	}
	if c.fragOp == 0 {
		c.fragOp, c.fragZip = h.op, h.compressed
	}
	c.fragment = append(c.fragment, payload...)
	if !h.fin {
		return nil
	}
	op, message := c.fragOp, c.fragment
	c.fragOp, c.fragment = 0, nil
	return c.deliver(t, op, message, c.fragZip)
}

func (c *Conn) deliver(t *Turn, op Opcode, message []byte, compressed bool) (err error) {
	if c.shut.Load() {
		return nil
	}
	if compressed {
		if message, err = inflate(message, c.srv.opts.MaxMessage); err != nil {
			return err
		}
	}
	if op == OpText && !utf8.Valid(message) {
		return &CloseError{Code: StatusInvalidPayload, Reason: "text is not UTF-8"}
	}
	c.handler.Message(c, t, op, message)
	return nil
}
