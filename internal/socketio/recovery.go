package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/rooms"
)

// RecoveryOptions say how clients get back what they had when they lose their
// connection: the session with its id, its rooms and every event since.
type RecoveryOptions struct {
	// Window is how long a client may be away. 0 lets none come back.
	Window time.Duration
	// MaxBytes bounds what is kept of the broadcasts of a namespace, and of
	// all sessions together. Default 32 MiB.
	MaxBytes int
}

// saved is a session whose client may come back.
type saved struct {
	ID        string            `json:"id"`
	Namespace string            `json:"namespace"`
	Owner     owner             `json:"owner"`
	Places    []rooms.Place     `json:"places,omitempty"`
	Begun     cluster.ID        `json:"begun"` // this and the next: see trail
	First     cluster.ID        `json:"first"`
	Left      cluster.ID        `json:"left,omitzero"`
	Last      cluster.ID        `json:"last"`
	Local     cluster.ID        `json:"local,omitzero"`
	Offsets   map[string]uint64 `json:"offsets,omitempty"`
	Own       []own             `json:"own,omitempty"`
	State     json.RawMessage   `json:"state,omitempty"` // of the namespace
	Server    string            `json:"server,omitempty"`
	until     time.Time
	// held are rooms of space that are heard for it.
	space *space
	held  []string
}

// unhold ends that.
func (s *saved) unhold() {
	if s.space != nil {
		s.space.interest.releaseAll(s.held)
		s.held = nil
	}
}

func (s *saved) bytes() int {
	n := 512 + len(s.State) + 128*len(s.Places)
	for _, o := range s.Own {
		n += o.bytes()
	}
	return n
}

// An owner is whose session it is. Nobody else gets it back.
type owner struct {
	User    string   `json:"user"`
	Tenants []string `json:"tenants"`
}

func ownerOf(id *auth.Identity) owner {
	o := owner{User: id.User}
	for _, t := range id.Tenants {
		o.Tenants = append(o.Tenants, t.ID)
	}
	slices.Sort(o.Tenants)
	return o
}

func (o owner) equal(other owner) bool {
	return o.User == other.User && slices.Equal(o.Tenants, other.Tenants)
}

// recovery finds the sessions of clients that come back, by the secret that
// they were given: those that have lost their connection, and those that have
// and do not know it yet.
type recovery struct {
	srv *Server

	mu    sync.Mutex
	live  map[string]*Session
	saved map[string]*saved
	order []term // of saved, oldest first; may name some that are gone
	bytes int

	asking asking
	counts recoveryCounts
}

// A term is until when a session is kept.
type term struct {
	pid   string
	until time.Time
}

func newRecovery(srv *Server) *recovery {
	return &recovery{srv: srv, live: make(map[string]*Session), saved: make(map[string]*saved)}
}

// shared reports whether sessions are kept where other servers find them.
func (r *recovery) shared() bool { return r.srv.opts.Bus != nil && r.srv.opts.Bus.Ordered() }

// newPID makes the secret of a session.
func newPID() string {
	var b [18]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// enter makes a session findable while its connection is there.
func (r *recovery) enter(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[s.pid] = s
}

// leave takes back enter.
func (r *recovery) leave(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[s.pid] == s {
		delete(r.live, s.pid)
	}
}

// saveTime bounds how long it may take to keep a session, or to find one.
const saveTime = 2 * time.Second

// keep saves a session that has lost its connection, after its last event.
func (r *recovery) keep(pid string, s *saved) {
	shared := r.shared() && r.share(pid, s) == nil
	r.counts.saved(r.shared(), shared)
	if shared {
		s.unhold()
		return
	}
	// Else its client may still come back to this server.
	r.mu.Lock()
	defer r.mu.Unlock()
	s.until = time.Now().Add(r.srv.opts.Recovery.Window)
	r.saved[pid] = s
	r.order = append(r.order, term{pid, s.until})
	r.bytes += s.bytes()
	for r.bytes > r.srv.opts.Recovery.MaxBytes {
		r.dropLocked()
	}
}

// share keeps a session where all servers find it.
func (r *recovery) share(pid string, s *saved) error {
	private, err := json.Marshal(s)
	if err != nil {
		return err
	}
	shared := &cluster.SavedSession{ID: s.ID, PID: pid, Data: json.RawMessage(`{}`), Private: private}
	for _, p := range s.Places {
		shared.Rooms = append(shared.Rooms, p.Room)
	}
	ctx, cancel := context.WithTimeout(context.Background(), saveTime)
	defer cancel()
	err = r.srv.opts.Bus.Save(ctx, shared, r.srv.opts.Recovery.Window)
	if err != nil {
		r.srv.opts.Logger.Warn("session is kept here alone", "session", s.ID, "error", err)
	}
	return err
}

// dropLocked forgets the oldest.
func (r *recovery) dropLocked() {
	oldest := r.order[0]
	r.order = r.order[1:]
	if s := r.saved[oldest.pid]; s != nil && s.until.Equal(oldest.until) {
		r.takeLocked(oldest.pid).unhold()
	}
}

func (r *recovery) takeLocked(pid string) *saved {
	s := r.saved[pid]
	if s != nil {
		delete(r.saved, pid)
		r.bytes -= s.bytes()
	}
	return s
}

// sweep forgets those whose clients have not come back in time.
func (r *recovery) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && !now.Before(r.order[0].until) {
		r.dropLocked()
	}
	if len(r.order) == 0 {
		r.order = nil
	}
}

// take returns the session of a client that has come back, and forgets it: of
// two that ask for it one gets it. It is nil if there is none for this owner.
func (r *recovery) take(ctx context.Context, pid string, who owner) *saved {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	r.detach(ctx, pid, who)
	r.mu.Lock()
	s := r.saved[pid]
	if s != nil && s.Owner.equal(who) && time.Now().Before(s.until) {
		r.takeLocked(pid)
	} else {
		s = nil
	}
	r.mu.Unlock()
	if s != nil || !r.shared() {
		return s
	}
	if s = r.takeShared(ctx, pid, who); s == nil {
		r.ask(ctx, pid, who)
		s = r.takeShared(ctx, pid, who) // it may also have been on its way
	}
	return s
}

// find returns a session that has not been saved yet, nil if it is not here,
// another's, or will not be saved.
func (r *recovery) find(pid string, who owner) *Session {
	r.mu.Lock()
	s := r.live[pid]
	r.mu.Unlock()
	if s == nil || !s.trail.goesOn() || !ownerOf(s.Identity()).equal(who) {
		return nil
	}
	return s
}

// detach ends the connection of a session whose client has come back by
// another, and waits until the session is kept.
func (r *recovery) detach(ctx context.Context, pid string, who owner) {
	s := r.find(pid, who)
	if s == nil {
		return
	}
	s.link.conn.Abort(engineio.ReasonForcedClose)
	select {
	case <-s.kept:
	case <-ctx.Done():
	}
}

func (r *recovery) takeShared(ctx context.Context, pid string, who owner) *saved {
	bus := r.srv.opts.Bus
	shared, err := bus.Take(ctx, pid)
	if err != nil || shared == nil || shared.Private == nil {
		return nil
	}
	var s saved
	if json.Unmarshal(shared.Private, &s) != nil {
		return nil
	}
	if !s.Owner.equal(who) { // it stays with whom it belongs to
		bus.Save(ctx, shared, r.srv.opts.Recovery.Window)
		return nil
	}
	return &s
}
