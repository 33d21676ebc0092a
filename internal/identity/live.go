package identity

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// A Session is an open session whose identity can change.
type Session interface {
	ID() string
	Identity() *auth.Identity
	// Address is where the client is.
	Address() string
	Emit(p events.Payload) error
	// Rooms returns the rooms that the session is in.
	Rooms() []events.Room
	Leave(room events.Room)
	// Renew gives the session another identity.
	Renew(id *auth.Identity)
	// Disconnect ends the session, after what was emitted to it.
	Disconnect()
}

// Rules are those of a session's namespace.
type Rules struct {
	Namespace string
	// Admit decides whether a user may be in the namespace; nil lets everyone.
	Admit func(id *auth.Identity) error
	// MayStay decides whether a user may be in a room; nil lets nobody.
	MayStay func(ctx context.Context, id *auth.Identity, room events.Room) (bool, error)
	// Left, if set, is told of the rooms that a session had to leave.
	Left func(s Session, room events.Room)
}

// LiveOptions configure a [Live].
type LiveOptions struct {
	Authenticate func(ctx context.Context, c auth.Credential) (*auth.Identity, error)
	Revoked      func(id *auth.Identity) bool
	// Warning is how long before the end of its token a session is told.
	// Default 1 min.
	Warning time.Duration
	// Leeway is how long after it the session ends: as long as the token
	// would let in a new one.
	Leeway time.Duration
	Logger *slog.Logger
}

// Live keeps the identities of open sessions true: it warns them before their
// token ends, renews them, and ends them with their credential. One timer
// serves all of them. Its methods may be called concurrently.
type Live struct {
	opts LiveOptions

	mu    sync.Mutex
	seats map[Session]*seat
	due   schedule
	wake  chan struct{} // has a value when the next time has changed
}

// NewLive returns a Live. Nothing ends before [Live.Run].
func NewLive(opts LiveOptions) *Live {
	if opts.Warning <= 0 {
		opts.Warning = time.Minute
	}
	return &Live{opts: opts, seats: make(map[Session]*seat), wake: make(chan struct{}, 1)}
}

// seat is a session and when to do something about it.
type seat struct {
	session Session
	rules   Rules
	end     time.Time // of the credential that the plan is for
	at      time.Time
	warned  bool
	index   int // in the schedule, -1 if it is not there
}

// Opened begins to watch a session. A credential that was revoked, or has ended,
// while it was being let in ends it at once.
func (l *Live) Opened(s Session, rules Rules) {
	l.mu.Lock()
	one := &seat{session: s, rules: rules, index: -1}
	l.seats[s] = one
	l.planLocked(one)
	l.mu.Unlock()
	l.recheck(s)
}

// Closed stops watching a session that has ended.
func (l *Live) Closed(s Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(s)
}

func (l *Live) removeLocked(s Session) *seat {
	one := l.seats[s]
	if one != nil {
		delete(l.seats, s)
		l.due.remove(one)
	}
	return one
}

// planLocked puts a session where it belongs in the schedule.
func (l *Live) planLocked(one *seat) {
	end := one.session.Identity().Expires
	if !end.Equal(one.end) {
		one.end, one.warned = end, false
	}
	switch {
	case end.IsZero():
		l.due.remove(one)
		return
	case one.warned:
		one.at = end.Add(l.opts.Leeway)
	default:
		// At half of a short life: a client that renews on every warning would
		// do nothing else if it came at once.
		one.at = end.Add(-max(0, min(l.opts.Warning, time.Until(end)/2)))
	}
	if l.due.put(one) {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// maxNap bounds how long the clock of the machine may jump unnoticed.
const maxNap = time.Minute

// Run warns and ends sessions until ctx ends.
func (l *Live) Run(ctx context.Context) {
	timer := time.NewTimer(maxNap)
	defer timer.Stop()
	for {
		timer.Reset(l.work())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
	}
}

// work does what is due and returns how long nothing else will be.
func (l *Live) work() time.Duration {
	for {
		l.mu.Lock()
		one := l.due.first()
		if one == nil {
			l.mu.Unlock()
			return maxNap
		}
		if wait := time.Until(one.at); wait > 0 {
			l.mu.Unlock()
			return min(wait, maxNap)
		}
		end := one.session.Identity().Expires
		if !end.Equal(one.end) { // it is being renewed
			l.planLocked(one)
			l.mu.Unlock()
			continue
		}
		ended := time.Until(end.Add(l.opts.Leeway)) <= 0
		if !ended {
			one.warned = true
			l.planLocked(one)
		}
		l.mu.Unlock()
		if ended {
			l.end(one.session, auth.Expired(), func(id *auth.Identity) bool { return id.Expires.Equal(end) })
		} else {
			one.session.Emit(events.AuthExpiring{
				ExpiresAt: events.Time{Time: end}, ExpiresIn: max(0, int(time.Until(end).Seconds())),
			})
		}
	}
}

// Revoke ends the sessions that a revocation shuts out.
func (l *Live) Revoke(r Revocation) {
	var out []Session
	l.mu.Lock()
	for s := range l.seats {
		if r.matches(s.Identity()) {
			out = append(out, s)
		}
	}
	l.mu.Unlock()
	for _, s := range out {
		l.end(s, auth.Revoked(), r.matches)
	}
}

// recheck ends a session whose credential was revoked, or has ended, before it
// was seen here.
func (l *Live) recheck(s Session) {
	id := s.Identity()
	switch {
	case l.opts.Revoked(id):
		l.end(s, auth.Revoked(), l.opts.Revoked)
	case l.ended(id):
		l.end(s, auth.Expired(), l.ended)
	}
}

// ended reports whether the credential behind an identity has.
func (l *Live) ended(id *auth.Identity) bool {
	return !id.Expires.IsZero() && time.Until(id.Expires.Add(l.opts.Leeway)) <= 0
}

// end tells a session why it ends, and ends it, once. If it was renewed just
// now, and that is not so for its new identity, it goes on.
func (l *Live) end(s Session, why *events.Error, still func(id *auth.Identity) bool) {
	l.mu.Lock()
	if !still(s.Identity()) {
		l.mu.Unlock()
		return
	}
	one := l.removeLocked(s)
	l.mu.Unlock()
	if one == nil {
		return
	}
	log := l.opts.Logger.With("namespace", one.rules.Namespace, "session", s.ID()).With(s.Identity().LogAttrs()...)
	log.Info("session ended", "code", why.Code, "reason", why.Message)
	s.Emit(events.AuthEnded{Code: why.Code, Message: why.Message})
	s.Disconnect()
}
