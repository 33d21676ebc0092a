package rawws

import (
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/websocket"
)

// This file finds out which dialect a connection speaks and who is at its other
// end.

// receive handles a frame: it finds out who speaks, unless that is known.
func (c *Conn) receive(f frame) {
	c.mu.Lock()
	choice, speaker := c.choice, c.speaker
	c.mu.Unlock()
	if speaker == nil || choice.provisional && !c.heard.Load() {
		if !c.recognise(f, choice) {
			return
		}
		if c.ending.Load() { // as it turned out who the client is, or where
			return
		}
		speaker = c.voice()
	} else if choice.dialect != Meet { // which has words of the others
		c.noteMistaken(judge(f).dialect(), choice.dialect)
	}
	speaker.Receive(c.ctx, f)
}

// noteMistaken notes that a frame looks like one of another dialect than is
// spoken.
func (c *Conn) noteMistaken(looks, speaks Name) {
	if looks != "" && looks != speaks && !slices.Contains(c.mistaken, looks) {
		c.mistaken = append(c.mistaken, looks)
		c.log().Info("frame looks like another dialect", "looksLike", looks)
	}
}

// recognise chooses a dialect by a frame, and reports whether it is that one's
// to handle.
func (c *Conn) recognise(f frame, choice chosen) bool {
	v := judge(f)
	if name := v.dialect(); name != "" && c.srv.dialects[name].Speak != nil {
		return c.decide(chosen{dialect: name, by: "first frame"})
	}
	switch v {
	case genesisPing, servicePing, barePing:
		c.SendJSON(pongOf(v, f))
		return false
	case notObject:
		c.voice().Refuse(f, misplaced(v))
		return false
	case meetElsewhere: // its clients read what those of bots do
		c.speakerOf(Bots).Refuse(f, misplaced(v))
		return false
	}
	if choice.dialect != "" {
		return c.decide(chosen{dialect: choice.dialect, by: choice.by})
	}
	c.fallback().Refuse(f, events.FieldErrorf("type", "what was sent is of no dialect that is spoken here: %s", c.srv.spoken()))
	return false
}

func misplaced(v verdict) *events.Error {
	if v == meetElsewhere {
		return events.Errorf(events.CodeInvalidRequest, "meetings are at another path: use /ws/meet")
	}
	return events.Errorf(events.CodeInvalidRequest, "what was sent is not a JSON object")
}

// listens takes a client that has said nothing for one that only listens.
func (c *Conn) listens() {
	c.push(job{do: func() {
		if c.speaker != nil {
			return
		}
		choice := chosen{dialect: Service, by: "silence", provisional: true}
		if c.choice.dialect != "" {
			choice.dialect = c.choice.dialect
		}
		if c.srv.dialects[choice.dialect].Speak != nil {
			c.decide(choice)
		}
	}})
}

// decide makes a dialect that of the connection, and reports whether the client
// may go on.
func (c *Conn) decide(choice chosen) bool {
	c.disarm()
	c.mu.Lock()
	before, was := c.speaker, c.choice
	c.choice = choice
	if before != nil && was.dialect == choice.dialect {
		c.mu.Unlock()
		return true
	}
	d := c.srv.dialects[choice.dialect]
	c.speaker = d.Speak(c)
	speaker := c.speaker
	c.mu.Unlock()
	if before != nil {
		before.Left()
	}
	c.log().Info("dialect chosen", "by", choice.by, "provisional", choice.provisional)
	if choice.dialect != Service && c.early.stop() {
		c.session.end()
		c.session = nil
	}
	known := c.identify(d, speaker)
	if choice.dialect == Service {
		c.heardEarly(speaker)
	}
	return known
}

// identify sees to it that it is known who the client is, as its dialect has
// it.
func (c *Conn) identify(d Dialect, speaker Speaker) bool {
	switch {
	case d.Auth == AuthNever:
	case c.session != nil:
		speaker.Entered(c.ctx)
	case c.identity != nil:
		return c.Enter(c.identity)
	case c.authErr != nil, d.Auth != AuthFirst:
		speaker.Refuse(frame{}, c.unidentified())
		c.End(statusAuth, "not authenticated")
		return false
	default:
		c.arm(c.srv.opts.Limits.Auth, func() {
			c.push(job{do: func() {
				if c.session == nil && !c.stays {
					speaker.Refuse(frame{}, events.Errorf(events.CodeTokenNotFound, "nobody knows who you are: send a token in time"))
					c.End(statusAuthTimeout, "not authenticated in time")
				}
			}})
		})
	}
	return true
}

// unidentified is why nobody knows who the client is.
func (c *Conn) unidentified() *events.Error {
	if c.authErr != nil {
		return c.authErr
	}
	return events.Errorf(events.CodeTokenNotFound, "no credential was sent: add ?token= to the address, or an Authorization header")
}

// Authenticate lets a client in by a credential that came in a frame, and tells
// why not. It is for Receive.
func (c *Conn) Authenticate(credential auth.Credential) *events.Error {
	id, err := c.srv.authenticate(c.ctx, credential, c.address)
	if err == nil && id == nil {
		err = events.Errorf(events.CodeTokenNotFound, "token: is missing")
	}
	if err != nil {
		return err
	}
	c.Enter(id)
	return nil
}

// Enter gives the client its session. It is for Receive.
func (c *Conn) Enter(id *auth.Identity) bool {
	c.disarm()
	if !c.open(id) {
		return false
	}
	c.voice().Entered(c.ctx)
	return true
}

// open makes the session.
func (c *Conn) open(id *auth.Identity) bool {
	session, err := newSession(c, id)
	if err != nil {
		c.log().Error("client could not be let in", "error", err)
		c.End(websocket.StatusInternalError, "the server failed: its log says more")
		return false
	}
	c.session = session
	if opened := c.srv.opts.Namespace.Opened; opened != nil {
		opened(c.ctx, session)
	}
	return true
}

// Stay lets the client go on although it will not say who it is. It is for
// Receive.
func (c *Conn) Stay() {
	c.stays = true
	c.disarm()
}

// Session returns the session, nil if it is not known who the client is. It is
// for Receive.
func (c *Conn) Session() *Session { return c.session }

// voice is who speaks with the client: that of its dialect, else of the default.
func (c *Conn) voice() Speaker {
	c.mu.Lock()
	speaker, name := c.speaker, c.choice.dialect
	c.mu.Unlock()
	if speaker != nil {
		return speaker
	}
	return c.speakerOf(name) // which is about to be chosen
}

// fallback speaks with who has not shown which dialect it speaks.
func (c *Conn) fallback() Speaker { return c.speakerOf(c.srv.opts.Default) }

// speakerOf is somebody for a single word in a dialect, in that of the default
// if it is not spoken.
func (c *Conn) speakerOf(name Name) Speaker {
	d := c.srv.dialects[name]
	if d.Speak == nil {
		d = c.srv.dialects[c.srv.opts.Default]
	}
	return d.Speak(c)
}

func (c *Conn) dialect() Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.choice.dialect
}
