package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/history"
)

// History is what rooms published, in a database.
type History struct{ db *DB }

var _ history.Store = History{}

// History returns what rooms published.
func (db *DB) History() History { return History{db} }

// Epoch implements [history.Store].
func (s History) Epoch(ctx context.Context) (epoch string, err error) {
	if _, err = s.db.exec(ctx, `INSERT INTO history_epoch (id, epoch) VALUES (1, ?) ON CONFLICT (id) DO NOTHING`, uuid.NewString()); err != nil {
		return "", err
	}
	err = s.db.row(ctx, `SELECT epoch FROM history_epoch WHERE id = 1`).Scan(&epoch)
	return epoch, err
}

// Append implements [history.Store]. The statement that takes the numbers of a
// room locks its head until the end of the transaction, so that numbers become
// visible in their order; heads are locked in one order, so that two servers
// do not wait for each other.
func (s History) Append(ctx context.Context, all []history.Publication) ([]uint64, error) {
	wanted := make(map[events.Room]uint64)
	for _, p := range all {
		wanted[p.Room]++
	}
	offsets := make([]uint64, len(all))
	err := s.db.tx(ctx, func(tx transaction) error {
		next := make(map[events.Room]uint64, len(wanted))
		for _, room := range slices.Sorted(maps.Keys(wanted)) {
			var head int64
			err := tx.row(`INSERT INTO history_heads (room, head, trimmed) VALUES (?, ?, 0)
				ON CONFLICT (room) DO UPDATE SET head = history_heads.head + excluded.head RETURNING head`, string(room), int64(wanted[room])).Scan(&head)
			if err != nil {
				return err
			}
			next[room] = uint64(head) - wanted[room] + 1
		}
		for i, p := range all {
			offsets[i] = next[p.Room]
			next[p.Room]++
		}
		return insertPublications(tx, all, offsets)
	})
	return offsets, err
}

// insertRows is how many rows one statement inserts.
const insertRows = 100

func insertPublications(tx transaction, all []history.Publication, offsets []uint64) error {
	for len(all) > 0 {
		n := min(len(all), insertRows)
		args := make([]any, 0, 5*n)
		for i, p := range all[:n] {
			args = append(args, string(p.Room), int64(offsets[i]), p.Event, string(p.Data), micros(p.At))
		}
		query := `INSERT INTO history (room, seq, event, data, at) VALUES (?, ?, ?, ?, ?)` + strings.Repeat(`, (?, ?, ?, ?, ?)`, n-1)
		if _, err := tx.exec(query, args...); err != nil {
			return err
		}
		all, offsets = all[n:], offsets[n:]
	}
	return nil
}

// Entries implements [history.Store].
func (s History) Entries(ctx context.Context, room events.Room, after uint64, limit, size int) ([]history.Entry, error) {
	return listWhile(ctx, s.db, s.db.read, func() bool { return size > 0 }, func(row scanner) (history.Entry, error) {
		var e history.Entry
		var seq, at int64
		var data string
		err := row.Scan(&seq, &e.Event, &data, &at)
		e.Offset, e.Data, e.At = uint64(seq), json.RawMessage(data), fromMicros(at)
		size -= len(data)
		return e, err
	}, `SELECT seq, event, data, at FROM history WHERE room = ? AND seq > ? ORDER BY seq LIMIT ?`, string(room), int64(after), limit)
}

// Heads implements [history.Store].
func (s History) Heads(ctx context.Context, rooms []events.Room) (map[events.Room]history.Head, error) {
	heads := make(map[events.Room]history.Head, len(rooms))
	for part := range slices.Chunk(rooms, insertRows) {
		in, args := placeholders(part)
		_, err := list(ctx, s.db, func(row scanner) (struct{}, error) {
			var room events.Room
			var head, trimmed int64
			err := row.Scan(&room, &head, &trimmed)
			heads[room] = history.Head{Offset: uint64(head), Trimmed: uint64(trimmed)}
			return struct{}{}, err
		}, `SELECT room, head, trimmed FROM history_heads WHERE room IN (`+in+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// latest runs a query that returns the latest number of each of ids, which
// stand where its %s is.
func latest(ctx context.Context, db *DB, ids []string, query string) (map[string]uint64, error) {
	found := make(map[string]uint64, len(ids))
	for part := range slices.Chunk(ids, insertRows) {
		in, args := placeholders(part)
		_, err := list(ctx, db, func(row scanner) (struct{}, error) {
			var id string
			var seq int64
			err := row.Scan(&id, &seq)
			found[id] = uint64(seq)
			return struct{}{}, err
		}, fmt.Sprintf(query, in), args...)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// placeholders returns those for a list of values, and the values as
// arguments.
func placeholders[T ~string](values []T) (list string, args []any) {
	for _, v := range values {
		args = append(args, string(v))
	}
	return "?" + strings.Repeat(", ?", len(values)-1), args
}

// trimRooms is how many rooms are looked at together.
const trimRooms = 100

// excess is what is to be trimmed of a room: all up to a number.
type excess struct {
	room string
	to   int64
}

func scanExcess(row scanner) (excess, error) {
	var e excess
	err := row.Scan(&e.room, &e.to)
	return e, err
}

// Trim implements [history.Store].
func (s History) Trim(ctx context.Context, count int, before time.Time, limit int) (int, error) {
	long, err := list(ctx, s.db, scanExcess, `SELECT room, CASE WHEN head - trimmed > ? THEN trimmed + ? ELSE head - ? END
		FROM history_heads WHERE head - trimmed > ? LIMIT ?`, count+limit, limit, count, count, trimRooms)
	if err != nil {
		return 0, err
	}
	old, err := list(ctx, s.db, scanExcess, `SELECT room, MAX(seq) FROM (SELECT room, seq FROM history WHERE at < ? ORDER BY at LIMIT ?) AS oldest GROUP BY room`,
		micros(before), limit)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, e := range append(long, old...) {
		n, err := s.trim(ctx, e.room, e.to)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// trim removes the entries of a room up to a number. The head comes first, as
// in Append.
func (s History) trim(ctx context.Context, room string, to int64) (n int, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if _, err := tx.exec(`UPDATE history_heads SET trimmed = ? WHERE room = ? AND trimmed < ?`, to, room, to); err != nil {
			return err
		}
		res, err := tx.exec(`DELETE FROM history WHERE room = ? AND seq <= ?`, room, to)
		if err != nil {
			return err
		}
		removed, err := res.RowsAffected()
		n = int(removed)
		return err
	})
	return n, err
}
