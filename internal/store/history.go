package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
func (s History) Append(ctx context.Context, all []history.Publication) ([]history.Number, error) {
	byRoom := make(map[events.Room][]int)
	for i, p := range all {
		byRoom[p.Room] = append(byRoom[p.Room], i)
	}
	numbers := make([]history.Number, len(all))
	err := s.db.tx(ctx, func(tx transaction) error {
		for _, room := range slices.Sorted(maps.Keys(byRoom)) {
			if err := number(tx, room, byRoom[room], all, numbers); err != nil {
				return err
			}
		}
		return insertPublications(tx, all, numbers)
	})
	return numbers, err
}

// number gives numbers to the publications of one room, those at the indexes
// of.
func number(tx transaction, room events.Room, of []int, all []history.Publication, numbers []history.Number) error {
	keys := make(map[string]int) // the first with each key
	for _, i := range of {
		if _, twice := keys[all[i].Key]; all[i].Key != "" && !twice {
			keys[all[i].Key] = i
		}
	}
	if len(keys) > 0 { // locked before it is read, so that nobody adds one meanwhile
		if _, err := advance(tx, room, 0); err != nil {
			return err
		}
	}
	for key, i := range keys {
		var seq int64
		err := tx.row(`SELECT seq FROM history WHERE room = ? AND once_key = ? AND once_key <> ''`, string(room), key).Scan(&seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		numbers[i] = history.Number{Offset: uint64(seq), Known: err == nil}
	}
	var fresh []int
	for _, i := range of {
		first, keyed := keys[all[i].Key]
		numbers[i].Known = numbers[i].Known || keyed && first != i
		if !numbers[i].Known {
			fresh = append(fresh, i)
		}
	}
	if len(fresh) > 0 {
		head, err := advance(tx, room, len(fresh))
		if err != nil {
			return err
		}
		for n, i := range fresh {
			numbers[i].Offset = head - uint64(len(fresh)-n-1)
		}
	}
	for _, i := range of {
		if first, keyed := keys[all[i].Key]; keyed {
			numbers[i].Offset = numbers[first].Offset
		}
	}
	return nil
}

// advance takes n numbers of a room and returns the last.
func advance(tx transaction, room events.Room, n int) (uint64, error) {
	var head int64
	err := tx.row(`INSERT INTO history_heads (room, head, trimmed) VALUES (?, ?, 0)
		ON CONFLICT (room) DO UPDATE SET head = history_heads.head + excluded.head RETURNING head`, string(room), n).Scan(&head)
	return uint64(head), err
}

// insertRows is how many rows one statement inserts.
const insertRows = 100

func insertPublications(tx transaction, all []history.Publication, numbers []history.Number) error {
	const columns = 6
	args := make([]any, 0, columns*min(len(all), insertRows))
	flush := func() error {
		if len(args) == 0 {
			return nil
		}
		query := `INSERT INTO history (room, seq, event, data, at, once_key) VALUES (?, ?, ?, ?, ?, ?)` + strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, len(args)/columns-1)
		_, err := tx.exec(query, args...)
		args = args[:0]
		return err
	}
	for i, p := range all {
		if numbers[i].Known {
			continue
		}
		args = append(args, string(p.Room), int64(numbers[i].Offset), p.Event, string(p.Data), micros(p.At), p.Key)
		if len(args) == columns*insertRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
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

// latest returns the number of each of ids that a query finds for the one which
// it calls v.id, of those that have one. It is asked for one after the other, so
// that each is found by an index without reading all that came before.
func latest(ctx context.Context, db *DB, ids []string, query string) (map[string]uint64, error) {
	found := make(map[string]uint64, len(ids))
	for part := range slices.Chunk(ids, insertRows) {
		_, args := placeholders(part)
		_, err := list(ctx, db, func(row scanner) (struct{}, error) {
			var id string
			var seq sql.NullInt64
			err := row.Scan(&id, &seq)
			if seq.Valid {
				found[id] = uint64(seq.Int64)
			}
			return struct{}{}, err
		}, `WITH v (id) AS (VALUES `+rows(`(?)`, len(part))+`) SELECT v.id, (`+query+`) FROM v`, args...)
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
