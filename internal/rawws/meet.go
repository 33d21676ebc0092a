package rawws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/websocket"
)

// Meetings is where clients of the dialect meet come together; it is a
// [meet.Service].
type Meetings interface {
	Join(ctx context.Context, j meet.Joining) (*meet.Participant, error)
	// Capacity is how many participants a meeting has at most.
	Capacity() int
	// Anonymous reports whether there are meetings for who does not say who it
	// is.
	Anonymous() bool
}

// NewMeet returns the dialect meet, which is spoken at /ws/meet by clients that
// name the meeting in each frame, and at /ws/meet/{room} by those that know it
// from the path and have other words for the same things. Both are in the same
// meetings.
func NewMeet(meetings Meetings) Dialect {
	return Dialect{Name: Meet, Auth: AuthFirst, Presence: true, Speak: func(c *Conn) Speaker {
		return &meeter{conn: c, meetings: meetings, room: c.meeting, in: make(map[string]*meet.Participant)}
	}}
}

// maxMeetings is in how many meetings a connection may be.
const maxMeetings = 8

// leaveTime bounds taking a participant out whose connection has ended.
const leaveTime = 15 * time.Second

// meeter speaks the dialect meet.
type meeter struct {
	conn     *Conn
	meetings Meetings
	room     string // of the path; "" if frames name it

	in        map[string]*meet.Participant // by the id of the meeting
	anonymous bool                         // it has joined without saying who it is, or tried to
}

// Entered implements [Speaker].
func (m *meeter) Entered(context.Context) {}

// Hear implements [Speaker]. What is said to the session is not for meetings,
// but for the last word.
func (m *meeter) Hear(n Notice) {
	if n.Event == (events.AuthEnded{}).EventName() {
		e := decode[events.Error](n)
		m.refuse(meetAuthFailed, e.Message)
	}
}

// Left implements [Speaker].
func (m *meeter) Left() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	for _, p := range m.in {
		p.Leave(ctx, meet.Gone)
	}
	clear(m.in)
}

// Receive implements [Speaker].
func (m *meeter) Receive(ctx context.Context, f frame) {
	switch f.kind {
	case "ping":
		m.conn.SendJSON(meetPong{"pong", clock(time.Now())})
		return
	case "auth":
		m.authenticate(ctx, f)
		return
	}
	in, problem := decodeMeet(f)
	if problem == "" {
		problem = in.at(m.room)
	}
	switch {
	case problem != "":
		m.refuse(meetInvalidFormat, problem)
	case m.conn.Session() == nil && !m.anonymous && !(in.kind == "join" && m.meetings.Anonymous()):
		m.refuse(meetAuthFailed, `Nobody knows who you are: send {"type":"auth","token":…} first`)
	case in.kind == "join":
		m.join(ctx, in)
	default:
		if err := m.act(ctx, in); err != nil {
			m.refuseError(f, err)
		}
	}
}

// authenticate says who the client is, or renews that.
func (m *meeter) authenticate(ctx context.Context, f frame) {
	token, _ := textOf(f.field("token"))
	session := m.conn.Session()
	switch {
	case session == nil && len(m.in) > 0:
		m.refuse(meetAuthFailed, "You are here without saying who you are: connect again")
	case session == nil:
		if err := m.conn.Authenticate(auth.FromText(token)); err != nil {
			m.Refuse(f, err)
			m.conn.End(statusAuth, "not authenticated")
		}
	default:
		if err := session.Do(ctx, "auth_refresh", map[string]string{"token": token}, nil); err != nil {
			m.Refuse(f, err)
			return
		}
		for room, p := range m.in {
			if !session.Identity().Can(auth.Meet, p.Tenant) {
				m.leave(ctx, room, p)
				m.refuse(meetNotInRoom, "You may not be in this meeting any more")
			}
		}
	}
}

func (m *meeter) join(ctx context.Context, in meetFrame) {
	if p := m.in[in.room]; p != nil {
		if p.Look() == nil { // once more is no more
			return
		}
		m.leave(ctx, in.room, p)
	}
	if len(m.in) >= maxMeetings {
		m.refuse(meetInvalidFormat, fmt.Sprintf("Invalid: a connection may be in %d meetings", maxMeetings))
		return
	}
	j := meet.Joining{Tenant: in.tenant, Meeting: in.room, ID: in.id, Name: in.name, Hear: func(n meet.Notice) { m.hear(in.room, n) }}
	if j.Tenant == "" {
		j.Tenant = m.conn.tenant
	}
	if session := m.conn.Session(); session != nil {
		j.Identity = session.Identity()
	} else {
		m.anonymous = true
		m.conn.Stay()
	}
	p, err := m.meetings.Join(ctx, j)
	if err != nil {
		m.refuseError(frame{}, err)
		return
	}
	m.in[in.room] = p
}

func (m *meeter) leave(ctx context.Context, room string, p *meet.Participant) {
	delete(m.in, room)
	p.Leave(ctx, meet.Leaving)
}

// act does what a participant of a meeting asks for.
func (m *meeter) act(ctx context.Context, in meetFrame) error {
	p := m.in[in.room]
	switch {
	case p == nil:
		return meet.ErrNotThere
	case in.kind == "leave":
		m.leave(ctx, in.room, p)
		return nil
	case in.kind == "mute":
		return p.Mute(ctx, in.muted)
	case in.target == "":
		return p.Say(in.kind, in.body)
	}
	err := p.Signal(in.target, in.kind, in.body)
	if m.room != "" && errors.Is(err, meet.ErrNoTarget) {
		// Its clients go on sending candidates to who has just gone, and expect
		// nothing to be said about that.
		return nil
	}
	return err
}

// hear tells the client what happens in a meeting.
func (m *meeter) hear(room string, n meet.Notice) {
	for _, frame := range m.words(room, n) {
		m.conn.SendJSON(frame)
	}
	if n.Kind == meet.Removed {
		m.conn.End(websocket.StatusGoingAway, "the meeting goes on without you: connect again")
	}
}

// words returns what is said about a notice.
func (m *meeter) words(room string, n meet.Notice) []any {
	if m.room != "" {
		return pathWords(n)
	}
	return bareWords(room, n)
}

// The codes of errors.
const (
	meetAuthFailed     = "AUTH_FAILED"
	meetRateLimited    = "RATE_LIMITED"
	meetTooLarge       = "MESSAGE_TOO_LARGE"
	meetInvalidFormat  = "INVALID_FORMAT"
	meetRoomFull       = "ROOM_FULL"
	meetNotInRoom      = "NOT_IN_ROOM"
	meetTargetNotFound = "TARGET_NOT_FOUND"
	meetInternal       = "INTERNAL_ERROR"
)

// Refuse implements [Speaker].
func (m *meeter) Refuse(_ frame, e *events.Error) {
	code, text := string(e.Code), e.Message
	switch {
	case isAuth(e.Code):
		code = meetAuthFailed
	case e.Code == events.CodeRateLimited:
		code = meetRateLimited
	case e.Code == events.CodeTooLarge:
		code = meetTooLarge
	case e.Code == events.CodeValidation, e.Code == events.CodeInvalidRequest:
		code, text = meetInvalidFormat, "Invalid: "+text
	case e.Code != events.CodePermissionDenied && e.Code != events.CodeConflict:
		code = meetInternal
	}
	m.refuse(code, text)
}

func (m *meeter) refuseError(f frame, err error) {
	switch {
	case errors.Is(err, meet.ErrFull):
		m.refuse(meetRoomFull, fmt.Sprintf("Room full (max %d)", m.meetings.Capacity()))
	case errors.Is(err, meet.ErrNotThere):
		m.refuse(meetNotInRoom, "You are not in this room: join it first")
	case errors.Is(err, meet.ErrNoTarget):
		m.refuse(meetTargetNotFound, "Nobody else in the room has this target_id")
	default:
		e, meant := events.Public(err)
		if !meant {
			m.conn.log().Error("frame was not handled", "type", f.kind, "error", err)
		}
		m.Refuse(f, e)
	}
}

func (m *meeter) refuse(code, text string) { m.conn.SendJSON(meetError{"error", code, text}) }
