package engineio

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// polling is the state of a connection that has no WebSocket yet. It is
// guarded by the connection's mutex.
type polling struct {
	frames    [][]byte // output that no GET has fetched
	size      int      // bytes in frames
	large     int      // of these in frames that are larger than the limit
	waiting   bool     // a GET is being held
	posting   bool     // a POST is being handled
	upgrading bool     // the client has probed a WebSocket; a GET is not held for long
	noop      bool     // the next GET is answered even if there is nothing to say
	probing   bool     // a WebSocket has been opened for an upgrade
	wake      chan struct{}
	fetched   chan struct{} // closed when output has been fetched, if anyone waits
	writing   chan struct{} // closed when the answer to the last GET has been written; nil when it has
	upgrade   func()        // to be done when the POST has been handled
	format    payloadFormat
}

func pollFormat(proto uint8, r *http.Request) payloadFormat {
	switch {
	case proto == 4:
		return formatV4
	case r.URL.Query().Has("b64"):
		return formatV3
	}
	return formatV3Octets
}

// signal wakes the waiting GET.
func (p *polling) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *polling) drop() {
	p.frames, p.size, p.large = nil, 0, 0
	p.tellFetched()
}

func (p *polling) tellFetched() {
	if p.fetched != nil {
		close(p.fetched)
		p.fetched = nil
	}
}

// largeLimits is how often the limit messages may come to that are larger than
// it.
const largeLimits = 8

// fits reports whether another frame may be kept. One that is larger than the
// limit does not count against it, and is counted here; one such always fits.
func (p *polling) fits(n, limit int) bool {
	if n <= limit {
		return p.size-p.large+n <= limit
	}
	if p.large > 0 && p.large+n > largeLimits*limit {
		return false
	}
	p.large += n
	return true
}

// pendLocked keeps a frame for the next GET.
func (c *Conn) pendLocked(frame []byte) {
	c.poll.frames = append(c.poll.frames, frame)
	c.poll.size += len(frame)
	c.poll.signal()
}

// servePoll answers a GET with what is pending, or holds it until there is
// something.
func (c *Conn) servePoll(w http.ResponseWriter, r *http.Request) *refusal {
	c.mu.Lock()
	p := c.poll
	switch {
	case p == nil, c.closed && p.size == 0 && !p.noop:
		c.mu.Unlock()
		return unknownSession
	case p.waiting:
		// Which of two polls would get a message is anybody's guess.
		c.closeLocked(ReasonTransportError)
		c.mu.Unlock()
		return badRequest
	}
	p.waiting = true
	if !c.awaitWritten(p, r) {
		return nil
	}
	var soon <-chan time.Time
	for p.size == 0 && !p.noop && !c.closed && c.poll != nil {
		if p.upgrading && soon == nil {
			soon = time.After(upgradingPoll)
		}
		c.mu.Unlock()
		select {
		case <-p.wake:
		case <-soon:
			p.answer(c)
		case <-r.Context().Done():
			c.abandoned(p)
			return nil
		}
		c.mu.Lock()
	}
	p.waiting = false
	gone := c.poll == nil && !p.noop
	frames := p.frames
	p.drop()
	p.noop = false
	over := c.closed
	written := make(chan struct{})
	p.writing = written
	c.mu.Unlock()
	defer close(written)

	if over {
		c.srv.dismiss(c)
	}
	if gone {
		return unknownSession // the client has gone on to its WebSocket
	}
	if len(frames) == 0 {
		frames = [][]byte{noopFrame}
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTime))
	writePayload(w, frames, p.format)
	return nil
}

// requestTime bounds how long a client may take to send the body of a POST,
// and to read the answer to a GET.
const requestTime = 30 * time.Second

// awaitWritten waits until the answer to the GET before has been written: a
// client that reads none of them must not get to hold more than one. The
// mutex is held, but not if it reports false, when the client has gone.
func (c *Conn) awaitWritten(p *polling, r *http.Request) bool {
	for p.writing != nil {
		written := p.writing
		c.mu.Unlock()
		select {
		case <-written:
		case <-r.Context().Done():
			c.abandoned(p)
			return false
		}
		c.mu.Lock()
		if p.writing == written {
			p.writing = nil
		}
	}
	return true
}

// upgradingPoll is how long a GET is held that comes after the probe of an
// upgrade. Most clients send none; those that do either wait for its answer
// before they go on, or have gone on already and expect to be turned away.
const upgradingPoll = 100 * time.Millisecond

// answer lets the waiting GET, or the next, return.
func (p *polling) answer(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.noop = true
}

// abandoned ends a connection whose client hung up on a poll: what is sent
// next could be lost.
func (c *Conn) abandoned(p *polling) {
	c.mu.Lock()
	p.waiting = false
	upgraded := c.poll == nil
	c.mu.Unlock()
	if !upgraded {
		c.Abort(ReasonTransportClose)
	}
}

func writePayload(w http.ResponseWriter, frames [][]byte, format payloadFormat) {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	body, octets := appendPayload(make([]byte, 0, n+n/3), frames, format)
	h := w.Header()
	if octets {
		h.Set("Content-Type", "application/octet-stream")
	} else {
		h.Set("Content-Type", "text/plain; charset=UTF-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.Write(body)
}

// servePost handles the packets of a POST. The answer means that they have
// been taken in, not that they have been acted on.
func (c *Conn) servePost(w http.ResponseWriter, r *http.Request) *refusal {
	octets := strings.HasPrefix(r.Header.Get("Content-Type"), "application/octet-stream")
	c.mu.Lock()
	p := c.poll
	switch {
	case p == nil, c.closed:
		c.mu.Unlock()
		return unknownSession
	case p.posting, octets && c.proto == 4:
		c.closeLocked(ReasonTransportError)
		c.mu.Unlock()
		return badRequest
	}
	p.posting = true
	c.mu.Unlock()
	why := c.takePost(w, r, octets)
	c.mu.Lock()
	p.posting = false
	upgrade := p.upgrade
	p.upgrade = nil
	c.mu.Unlock()
	if upgrade != nil {
		upgrade()
	}
	if why != nil {
		return why
	}
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "ok")
	return nil
}

func (c *Conn) takePost(w http.ResponseWriter, r *http.Request, octets bool) *refusal {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(requestTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(c.srv.opts.MaxPayload)))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		c.Close(ReasonTooBig)
		return tooBig
	case err != nil:
		c.Abort(ReasonTransportError)
		return badRequest
	}
	rc.SetReadDeadline(time.Time{}) // it would end a request that has to wait
	legal := true
	err = decodePayload(body, int(c.proto), octets, func(p packet) bool {
		if !c.await(r.Context()) {
			return false
		}
		legal = c.take(p)
		return legal && p.kind != packetClose
	})
	if !c.await(r.Context()) && r.Context().Err() != nil {
		// The client does not know what has been taken in, and may say it again.
		c.Abort(ReasonTransportClose)
		return nil
	}
	if err != nil || !legal {
		c.Close(ReasonParseError)
		return badRequest
	}
	return nil
}
