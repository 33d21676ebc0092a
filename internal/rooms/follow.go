package rooms

// Follow puts a member into a room and sees to it that it gets everything
// published there after offset since. It joins on hold; snapshot brings the
// member from after up to the offset that it returns, and is called again to
// go on from there when too much was published meanwhile; then the member is
// released. A member that has everything after since already is left alone.
//
// A member that was in the room already has got what was published since it
// came: snapshot may end where that begins, and leave the rest out.
//
// If snapshot fails, the member is in the room only if it was before, and goes
// on as it was; if that left a gap, the next Follow reads a snapshot again.
func (t *Table[M]) Follow(name string, m M, since uint64, snapshot func(after uint64) (through uint64, err error)) error {
	t.mu.Lock()
	s := t.find(name, m)
	joined := s == nil
	if joined {
		s = t.sit(name, m)
	}
	if s.since <= since {
		t.mu.Unlock()
		return nil
	}
	s.hold(joined)
	t.mu.Unlock()
	followed := false
	defer func() { // also when snapshot panics
		if !followed {
			t.abandon(s, joined)
		}
	}()
	for after := since; !followed; {
		through, err := snapshot(after)
		if err != nil {
			return err
		}
		if first := s.room.begin(through); after < through && through < first {
			after = through // what was published before the first that came here never did
			continue
		}
		after, followed = s.release(through, t.opts.Now(), joined)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.since = since
	return nil
}

// abandon ends the hold of a member whose snapshot failed.
func (t *Table[M]) abandon(s *seat[M], joined bool) {
	if joined {
		t.Leave(s.room.name, s.member)
		return
	}
	if !s.resume(t.opts.Now()) {
		t.mu.Lock()
		defer t.mu.Unlock()
		s.since = fromNow
	}
}
