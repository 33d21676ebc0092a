package socketio

import (
	"maps"
	"slices"
	"sync"
)

// registry finds the sessions of a namespace by id.
type registry struct {
	mu   sync.Mutex
	byID map[string]*Session
	// byLibrary are those that the library knows by another id: they go on
	// with an earlier session.
	byLibrary map[string]*Session
}

// add makes a session findable by its id, and by that of the library.
func (r *registry) add(s *Session, libraryID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[string]*Session)
		r.byLibrary = make(map[string]*Session)
	}
	r.byID[s.id] = s
	if libraryID != s.id {
		r.byLibrary[libraryID] = s
		s.libraryID = libraryID
	}
}

// findByLibrary finds a session by the id that the library knows it by.
func (r *registry) findByLibrary(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.byLibrary[id]; s != nil {
		return s
	}
	if s := r.byID[id]; s != nil && s.libraryID == "" {
		return s
	}
	return nil // an earlier session had that id
}

func (r *registry) find(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

func (r *registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[s.id] == s {
		delete(r.byID, s.id)
	}
	delete(r.byLibrary, s.libraryID)
}

func (r *registry) all() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Session, 0, len(r.byID))
	for _, s := range r.byID {
		all = append(all, s)
	}
	return all
}

func (r *registry) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.byID))
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byID)
}
