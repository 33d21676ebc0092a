package root

import (
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
	followed *followed

	mu     sync.Mutex
	places map[namespaces.Session]map[string]*runPlace // by run
}

type runPlace struct {
	joined  bool // by workflow_run_join
	widgets int  // that show the run
}

func newRunRooms(f *followed) *runRooms {
	return &runRooms{followed: f, places: make(map[namespaces.Session]map[string]*runPlace)}
}

// join puts a session into the room of a run, with all that has happened after
// since: see [followed.follow].
func (r *runRooms) join(s namespaces.Session, runID string, since uint64, read func(after, until uint64) (uint64, error)) (through uint64, err error) {
	p := r.place(s, runID)
	through, err = r.followed.follow(s, events.RunRoom(runID), since, read)
	if err != nil {
		r.tidy(s, runID)
		return 0, err
	}
	p.joined = true
	return through, nil
}

// enter is join for a widget.
func (r *runRooms) enter(s namespaces.Session, runID string, since uint64, read func(after, until uint64) (uint64, error)) error {
	p := r.place(s, runID)
	if _, err := r.followed.follow(s, events.RunRoom(runID), since, read); err != nil {
		r.tidy(s, runID)
		return err
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
	r.followed.drop(s, events.RunRoom(runID))
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
func (s widgetSession) EnterRun(runID string, since uint64, read func(after, until uint64) (uint64, error)) error {
	return s.rooms.enter(s.Session, runID, since, read)
}

// LeaveRun implements [bridge.Session].
func (s widgetSession) LeaveRun(runID string) { s.rooms.leave(s.Session, runID) }
