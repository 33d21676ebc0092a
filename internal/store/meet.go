package store

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/internal/meet"
)

// Meetings are who is in which meeting.
type Meetings struct{ db *DB }

var _ meet.Store = Meetings{}

// Meetings returns who is in which meeting.
func (db *DB) Meetings() Meetings { return Meetings{db} }

// Join implements [meet.Store].
func (s Meetings) Join(ctx context.Context, room, owner string, m meet.Member, fallback string, capacity int) (meet.List, error) {
	return s.change(ctx, room, func(tx transaction, before meet.List, version uint64) (bool, error) {
		if len(before.Members) >= capacity {
			return false, meet.ErrFull
		}
		for _, other := range before.Members {
			if other.ID == m.ID {
				m.ID = fallback
			}
		}
		_, err := tx.exec(`INSERT INTO meet_participants (seat, room, id, name, muted, owner, since) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			m.Seat, room, m.ID, m.Name, bit(m.Muted), owner, int64(version))
		return true, err
	})
}

// Leave implements [meet.Store].
func (s Meetings) Leave(ctx context.Context, room, seat string) (meet.List, error) {
	return s.change(ctx, room, func(tx transaction, _ meet.List, _ uint64) (bool, error) {
		return changed(tx.exec(`DELETE FROM meet_participants WHERE seat = ? AND room = ?`, seat, room))
	})
}

// Mute implements [meet.Store].
func (s Meetings) Mute(ctx context.Context, room, seat string, muted bool) (meet.List, error) {
	return s.change(ctx, room, func(tx transaction, _ meet.List, _ uint64) (bool, error) {
		ok, err := changed(tx.exec(`UPDATE meet_participants SET muted = ? WHERE seat = ? AND room = ?`, bit(muted), seat, room))
		if err == nil && !ok {
			err = meet.ErrNotThere
		}
		return ok, err
	})
}

// change does something to a meeting, while nobody else does. If fn says that
// it has changed something, the meeting gets another version.
func (s Meetings) change(ctx context.Context, room string, fn func(tx transaction, before meet.List, version uint64) (bool, error)) (l meet.List, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock(room); err != nil {
			return err
		}
		rows, err := listIn(tx, scanMeetRow, meetRows, room)
		if err != nil {
			return err
		}
		l = listOfRows(rows)
		var now int64
		if err := tx.row(`SELECT ` + s.db.dialect.Now).Scan(&now); err != nil {
			return err
		}
		version := max(uint64(now), l.Version+1)
		if changed, err := fn(tx, l, version); err != nil || !changed {
			return err
		}
		if _, err := tx.exec(`INSERT INTO meet_rooms (room, version) VALUES (?, ?) ON CONFLICT (room) DO UPDATE SET version = excluded.version`, room, int64(version)); err != nil {
			return err
		}
		rows, err = listIn(tx, scanMeetRow, meetRows, room)
		l = listOfRows(rows)
		return err
	})
	return l, err
}

// List implements [meet.Store].
func (s Meetings) List(ctx context.Context, room string) (meet.List, error) {
	rows, err := list(ctx, s.db, scanMeetRow, meetRows, room)
	return listOfRows(rows), err
}

// meetRows are a version and who is there, in one statement, so that they
// belong together.
const meetRows = `SELECT r.version, p.seat, p.id, p.name, p.muted FROM meet_rooms r LEFT JOIN meet_participants p ON p.room = r.room WHERE r.room = ? ORDER BY p.since`

// A meetRow is a version with one member, or with none.
type meetRow struct {
	version int64
	member  *meet.Member
}

func scanMeetRow(row scanner) (r meetRow, err error) {
	var seat, id, name *string
	var muted *int64
	if err = row.Scan(&r.version, &seat, &id, &name, &muted); err == nil && seat != nil {
		r.member = &meet.Member{Seat: *seat, ID: *id, Name: *name, Muted: *muted != 0}
	}
	return r, err
}

func listOfRows(rows []meetRow) (l meet.List) {
	for _, r := range rows {
		l.Version = uint64(r.version)
		if r.member != nil {
			l.Members = append(l.Members, *r.member)
		}
	}
	return l
}

// Versions implements [meet.Store].
func (s Meetings) Versions(ctx context.Context, rooms []string) (map[string]uint64, error) {
	return latest(ctx, s.db, rooms, `SELECT version FROM meet_rooms WHERE room = v.id`)
}

// Sweep implements [meet.Store].
func (s Meetings) Sweep(ctx context.Context) (map[string]uint64, error) {
	gone := s.db.ownerGone("meet_participants")
	rooms, err := list(ctx, s.db, scanID, `SELECT DISTINCT room FROM meet_participants WHERE `+gone)
	if err != nil {
		return nil, err
	}
	versions := make(map[string]uint64)
	for _, room := range rooms {
		removed := false
		l, err := s.change(ctx, room, func(tx transaction, _ meet.List, _ uint64) (_ bool, err error) {
			removed, err = changed(tx.exec(`DELETE FROM meet_participants WHERE room = ? AND `+gone, room))
			return removed, err
		})
		if err != nil {
			return versions, err
		}
		if removed {
			versions[room] = l.Version
		}
	}
	return versions, nil
}

// Forget implements [meet.Store]. Whoever comes meanwhile has changed the
// version, so that its meeting stays.
func (s Meetings) Forget(ctx context.Context, empty time.Duration) error {
	_, err := s.db.exec(ctx, `DELETE FROM meet_rooms WHERE version < `+s.db.dialect.Now+` - ? AND NOT EXISTS (SELECT 1 FROM meet_participants p WHERE p.room = meet_rooms.room)`, empty.Microseconds())
	return err
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
