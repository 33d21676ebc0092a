package root

import (
	"math"
	"sync"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/namespaces"
)

// runRooms keeps why sessions are in the rooms of runs. A session has one
// place in a room, but may be there because its client joined, and for each
// widget that shows the run: it leaves when none of that holds any more, and
// gets nothing twice.
//
// The events of a session are handled one at a time, so the places of one are
// not changed concurrently; the mutex is for the map.
type runRooms struct {
	mu     sync.Mutex
	places map[namespaces.Session]map[string]*runPlace // by run
}

type runPlace struct {
	joined  bool   // by workflow_run_join
	widgets int    // that show the run
	from    uint64 // what was published up to this offset the client has not got
}

func newRunRooms() *runRooms {
	return &runRooms{places: make(map[namespaces.Session]map[string]*runPlace)}
}

// join puts a session into the room of a run, with all that has happened.
// snapshot emits what was published after after, up to until, and returns the
// offset it got to.
func (r *runRooms) join(s namespaces.Session, runID string, snapshot func(after, until uint64) (uint64, error)) error {
	p := r.place(s, runID)
	if p.joined {
		return nil
	}
	err := s.Follow(events.RunRoom(runID), 0, func(after uint64) (uint64, error) {
		until := p.from
		if after >= until { // nothing was published to the session before this
			until = math.MaxUint64
		}
		through, err := snapshot(after, until)
		return min(through, until), err
	})
	p.from = 0 // if it failed, the client has got nobody knows what: all comes again
	if err != nil {
		r.tidy(s, runID)
		return err
	}
	p.joined = true
	return nil
}

// enter is join for a widget, which needs only what comes after from.
func (r *runRooms) enter(s namespaces.Session, runID string, from uint64, snapshot func(after uint64) (uint64, error)) error {
	p := r.place(s, runID)
	if !p.joined && p.widgets == 0 {
		if err := s.Follow(events.RunRoom(runID), from, snapshot); err != nil {
			r.tidy(s, runID)
			return err
		}
		p.from = from
	}
	p.widgets++
	return nil
}

// leave takes back one enter.
func (r *runRooms) leave(s namespaces.Session, runID string) {
	if p := r.place(s, runID); p.widgets > 0 {
		p.widgets--
	}
	r.tidy(s, runID)
}

func (r *runRooms) place(s namespaces.Session, runID string) *runPlace {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.places[s] == nil {
		r.places[s] = make(map[string]*runPlace)
	}
	p := r.places[s][runID]
	if p == nil {
		p = &runPlace{}
		r.places[s][runID] = p
	}
	return p
}

// tidy leaves the room of a run that there is no reason to be in.
func (r *runRooms) tidy(s namespaces.Session, runID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.places[s][runID]
	if p == nil || p.joined || p.widgets > 0 {
		return
	}
	s.Leave(events.RunRoom(runID))
	delete(r.places[s], runID)
	if len(r.places[s]) == 0 {
		delete(r.places, s)
	}
}

// expel drops every reason to be in the room of a run that the session may no
// longer be in, so that it can join anew if it may again.
func (r *runRooms) expel(s namespaces.Session, runID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.places[s], runID)
}

// forget drops a session that has ended.
func (r *runRooms) forget(s namespaces.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.places, s)
}

// widgetSession is a session as widgets need it.
type widgetSession struct {
	namespaces.Session
	rooms *runRooms
}

var _ bridge.Session = widgetSession{}

// EnterRun implements [bridge.Session].
func (s widgetSession) EnterRun(runID string, from uint64, snapshot func(after uint64) (uint64, error)) error {
	return s.rooms.enter(s.Session, runID, from, snapshot)
}

// LeaveRun implements [bridge.Session].
func (s widgetSession) LeaveRun(runID string) { s.rooms.leave(s.Session, runID) }
