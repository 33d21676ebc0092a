package rooms

// sequence is which numbered publications a room has taken. It is guarded by
// the room's publishing mutex.
type sequence[M comparable] struct {
	seen uint64 // the last that was published here
	// base is what every member has, if nothing was published here yet; known
	// tells that somebody said so.
	base  uint64
	known bool
	// first is what comes before the first that was published, if that came
	// before any member had something.
	first uint64
	// While publications are fetched, those that come meanwhile wait.
	fetching bool
	waiting  []Publication[M]
}

// maxUnfetched bounds the publications that wait while others are fetched.
// Numbered ones beyond it are fetched in their turn.
const maxUnfetched = 1024

// through is the number up to which every member has been served.
func (q *sequence[M]) through() uint64 { return max(q.seen, q.base) }

// begun reports whether through means anything.
func (q *sequence[M]) begun() bool { return q.known || q.seen > 0 }

// Publish gives a publication to every member of a room, in the order of
// Publish calls. A numbered one that has been published is dropped; when one
// before it is missing, that is fetched first.
func (t *Table[M]) Publish(name string, p Publication[M]) {
	for !t.publish(name, p) { // the room has been vacated
	}
}

func (t *Table[M]) publish(name string, p Publication[M]) bool {
	t.mu.Lock()
	r := t.rooms[name]
	if r == nil {
		p.begin()
		t.mu.Unlock()
		return true
	}
	t.mu.Unlock()
	r.publishing.Lock()
	defer r.publishing.Unlock()
	return t.take(r, p)
}

// take publishes p or lets it wait, unless the room has been vacated. The
// publishing mutex is held.
func (t *Table[M]) take(r *room[M], p Publication[M]) bool {
	q := &r.sequence
	switch {
	case q.fetching && len(q.waiting) < maxUnfetched:
		q.waiting = append(q.waiting, p)
	case q.fetching:
	case p.Position.Offset > 0 && p.Position.Offset <= q.seen:
	case t.opts.Missed != nil && q.begun() && p.misses(q.through()):
		q.fetching = true
		q.waiting = append(q.waiting, p)
		go t.fetch(r, q.through(), p.Position.Prev)
	default:
		return t.deliver(r, p)
	}
	return true
}

// misses reports whether something that was published after an offset comes
// before p.
func (p Publication[M]) misses(through uint64) bool {
	return p.Position.Prev > through && p.Position.Prev < p.Position.Offset
}

// begin returns p as members get it.
func (p Publication[M]) begin() publication[M] {
	begun := publication[M]{offset: p.Position.Offset, deliver: p.Deliver}
	if p.Begin != nil {
		begun.id = p.Begin()
	}
	return begun
}

// deliver gives p to the members, unless the room has been vacated. The
// publishing mutex is held.
func (t *Table[M]) deliver(r *room[M], p Publication[M]) bool {
	begun, seats, ok := t.begin(r, p)
	if !ok {
		return false
	}
	q := &r.sequence
	if !q.begun() {
		q.first = p.Position.Prev
	}
	q.seen = max(q.seen, begun.offset)
	for _, s := range seats {
		s.mu.Lock()
		s.deliver(begun)
		s.mu.Unlock()
	}
	return true
}

// fetch publishes what is missing after an offset, up to another, page by page,
// and then what has waited for it. When the room has been vacated, all of it is
// for those who have come since.
func (t *Table[M]) fetch(r *room[M], after, until uint64) {
	for more := true; more; {
		missed := t.opts.Missed(r.name, after, until)
		last := after
		for _, p := range missed {
			last = max(last, p.Position.Offset)
		}
		more, after = last > after && last < until, last
		left, vacated := t.fetched(r, missed, until, more)
		for _, p := range left {
			t.Publish(r.name, p)
		}
		more = more && !vacated
	}
}

// fetched publishes a page of what was missing, and after the last what has
// waited. It returns what is left when the room has been vacated.
func (t *Table[M]) fetched(r *room[M], missed []Publication[M], until uint64, more bool) (left []Publication[M], vacated bool) {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	q := &r.sequence
	for i, p := range missed {
		if p.Position.Offset > 0 && p.Position.Offset <= q.seen {
			continue
		}
		if !t.deliver(r, p) {
			return append(missed[i:len(missed):len(missed)], q.waiting...), true
		}
	}
	if more {
		return nil, false
	}
	waiting := q.waiting
	q.waiting, q.fetching = nil, false
	q.seen = max(q.seen, until) // what was not fetched will not come
	for i, p := range waiting {
		if !t.take(r, p) {
			return waiting[i:], true
		}
	}
	return nil, false
}

// Seen returns the number up to which publications to a room have begun, 0 if
// none of those who are there saw one.
func (t *Table[M]) Seen(name string) uint64 {
	t.mu.Lock()
	r := t.rooms[name]
	t.mu.Unlock()
	if r == nil {
		return 0
	}
	r.publishing.Lock()
	defer r.publishing.Unlock()
	return r.sequence.seen
}

// Heads returns, by room, the number up to which every member has been served,
// of those that have one.
func (t *Table[M]) Heads() map[string]uint64 {
	t.mu.Lock()
	all := make([]*room[M], 0, len(t.rooms))
	for _, r := range t.rooms {
		all = append(all, r)
	}
	t.mu.Unlock()
	heads := make(map[string]uint64)
	for _, r := range all {
		r.publishing.Lock()
		if q := &r.sequence; q.begun() && !q.fetching {
			heads[r.name] = q.through()
		}
		r.publishing.Unlock()
	}
	return heads
}

// Refetch sees to it that the members of a room get everything up to an
// offset, as if its successor had been published.
func (t *Table[M]) Refetch(name string, until uint64) {
	t.mu.Lock()
	r := t.rooms[name]
	t.mu.Unlock()
	if r == nil || t.opts.Missed == nil {
		return
	}
	r.publishing.Lock()
	defer r.publishing.Unlock()
	if q := &r.sequence; !q.fetching && q.begun() && q.through() < until {
		q.fetching = true
		go t.fetch(r, q.through(), until)
	}
}

// begin notes what a member of a room has, unless something was published
// already, and returns the number that a member must have for nothing to be
// missing before that. What counts is who has least: a log may hold what was
// never published, as its writer died in between, and who read it before
// still waits for that.
func (r *room[M]) begin(through uint64) (first uint64) {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	if q := &r.sequence; q.seen == 0 && (!q.known || through < q.base) {
		q.base, q.known = through, true
	}
	return r.sequence.first
}
