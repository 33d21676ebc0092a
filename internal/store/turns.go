package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/chat"
)

// BeginTurn implements [chat.Store].
func (s Chats) BeginTurn(ctx context.Context, m chat.Message, start chat.Entry) (head uint64, stopped bool, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + m.RoomID); err != nil {
			return err
		}
		switch answer, err := answerable(tx, m); {
		case err != nil:
			return err
		case answer > 0:
			return chat.ErrAnswered
		}
		var last, stoppedTo, earlier int64
		err := tx.row(`SELECT stream_head, stopped, (SELECT COUNT(*) FROM chat_messages WHERE room_id = chat_rooms.id AND speaker = 'user' AND answer = 0 AND seq < ?)
			FROM chat_rooms WHERE id = ?`, int64(m.Seq), m.RoomID).Scan(&last, &stoppedTo, &earlier)
		if err != nil {
			return err
		}
		stopped = uint64(stoppedTo) >= m.Seq
		var turn int64
		err = tx.row(`SELECT seq FROM chat_turns WHERE room_id = ?`, m.RoomID).Scan(&turn)
		began := err == nil
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		case earlier > 0, began && turn != int64(m.Seq):
			return chat.ErrBusy
		case began: // what the owner before is storing at this moment counts, too
			return tx.row(`UPDATE chat_turns SET owner = ? WHERE room_id = ? RETURNING head`, m.Owner, m.RoomID).Scan(&head)
		}
		head = uint64(last) + 1
		if err := forgetStream(tx, m.RoomID, start.At); err != nil {
			return err
		}
		if _, err := tx.exec(`INSERT INTO chat_turns (room_id, seq, owner, head) VALUES (?, ?, ?, ?)`, m.RoomID, int64(m.Seq), m.Owner, int64(head)); err != nil {
			return err
		}
		start.Seq = head
		return addEntry(tx, m.RoomID, start)
	})
	return head, stopped, err
}

// answerable returns the number of the answer to a message, 0 if there is none,
// and ErrAnswered if the owner may not, or no longer, answer it. Nobody takes the
// message over before the end of the transaction.
func answerable(tx transaction, m chat.Message) (answer int64, err error) {
	var owner string
	err = tx.row(`UPDATE chat_messages SET owner = owner WHERE room_id = ? AND seq = ? AND speaker = 'user' RETURNING owner, answer`, m.RoomID, int64(m.Seq)).Scan(&owner, &answer)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, chat.ErrNotFound
	case err != nil:
		return 0, err
	case owner != m.Owner, answer < 0:
		return 0, chat.ErrAnswered
	}
	return answer, nil
}

func addEntry(tx transaction, roomID string, e chat.Entry) error {
	_, err := tx.exec(`INSERT INTO chat_stream (room_id, seq, turn, kind, data, at) VALUES (?, ?, ?, ?, ?, ?)`,
		roomID, int64(e.Seq), int64(e.Turn), string(e.Kind), string(e.Data), micros(e.At))
	return err
}

// AddToStream implements [chat.Store].
func (s Chats) AddToStream(ctx context.Context, pieces []chat.Piece) ([]error, error) {
	refused := make([]error, len(pieces))
	heads := map[ownedTurn]chat.Piece{} // the last piece of each
	for i, p := range pieces {
		if refused[i] = storable([]any{string(p.Data)}); refused[i] == nil {
			heads[ownedBy(p)] = p
		}
	}
	err := s.db.tx(ctx, func(tx transaction) error {
		mine, stopped, err := fenceTurns(tx, heads)
		if err != nil {
			return err
		}
		var args []any
		n := 0
		for i, p := range pieces {
			switch {
			case refused[i] != nil:
			case !mine[ownedBy(p)]:
				refused[i] = chat.ErrAnswered
			default:
				n++
				if stopped[ownedBy(p)] {
					refused[i] = chat.ErrStopped
				}
				args = append(args, p.RoomID, int64(p.Seq), int64(p.Turn), string(p.Kind), string(p.Data), micros(p.At))
			}
		}
		for ; n > 0; n -= min(n, insertRows) {
			k := min(n, insertRows)
			if _, err := tx.exec(`INSERT INTO chat_stream (room_id, seq, turn, kind, data, at) VALUES `+rows(`(?, ?, ?, ?, ?, ?)`, k)+` ON CONFLICT (room_id, seq) DO NOTHING`, args[:k*6]...); err != nil {
				return err
			}
			args = args[k*6:]
		}
		return nil
	})
	return refused, err
}

// An ownedTurn is a turn as its owner knows it. Two may be of one room: of who
// has lost a turn, and who has taken it over.
type ownedTurn struct {
	roomID, owner string
	seq           int64
}

func ownedBy(p chat.Piece) ownedTurn { return ownedTurn{p.RoomID, p.Owner, int64(p.Turn)} }

// fenceTurns notes how far the streams of turns go, and returns those that still
// are their owners', and those that somebody has stopped. Nobody takes them over
// before the transaction ends.
func fenceTurns(tx transaction, heads map[ownedTurn]chat.Piece) (mine, stopped map[ownedTurn]bool, err error) {
	mine, stopped = map[ownedTurn]bool{}, map[ownedTurn]bool{}
	scan := func(row scanner) (t ownedTurn, err error) {
		var stoppedTo int64
		err = row.Scan(&t.roomID, &t.owner, &t.seq, &stoppedTo)
		mine[t], stopped[t] = true, stoppedTo >= t.seq
		return t, err
	}
	turns := slices.SortedFunc(maps.Keys(heads), func(a, b ownedTurn) int { // so that two servers do not wait for each other
		return cmp.Compare(a.roomID, b.roomID)
	})
	for part := range slices.Chunk(turns, insertRows) {
		var args []any
		for _, t := range part {
			args = append(args, t.roomID, t.seq, t.owner, int64(heads[t].Seq))
		}
		_, err := listIn(tx, scan, `WITH v (room_id, seq, owner, head) AS (VALUES `+rows(`(?, CAST(? AS BIGINT), ?, CAST(? AS BIGINT))`, len(part))+`)
			UPDATE chat_turns SET head = v.head FROM v
			WHERE chat_turns.room_id = v.room_id AND chat_turns.seq = v.seq AND chat_turns.owner = v.owner 
			RETURNING chat_turns.room_id, chat_turns.owner, chat_turns.seq, COALESCE((SELECT stopped FROM chat_rooms WHERE id = chat_turns.room_id), 0)`, args...)
		if err != nil {
			return nil, nil, err
		}
	}
	return mine, stopped, nil
}

// Stream implements [chat.Store].
func (s Chats) Stream(ctx context.Context, roomID string, after, until uint64) ([]chat.Entry, error) {
	return list(ctx, s.db, func(row scanner) (chat.Entry, error) {
		var e chat.Entry
		var seq, turn, at int64
		var data string
		err := row.Scan(&seq, &turn, &e.Kind, &data, &at)
		e.Seq, e.Turn, e.Data, e.At = uint64(seq), uint64(turn), json.RawMessage(data), fromMicros(at)
		return e, err
	}, `SELECT seq, turn, kind, data, at FROM chat_stream WHERE room_id = ? AND seq > ? AND seq <= ? ORDER BY seq`, roomID, int64(after), int64(until))
}

// StreamHeads implements [chat.Store].
func (s Chats) StreamHeads(ctx context.Context, roomIDs []string) (map[string]uint64, error) {
	return latest(ctx, s.db, roomIDs, `SELECT MAX(seq) FROM chat_stream WHERE room_id = v.id`)
}

// StopTurns implements [chat.Store].
func (s Chats) StopTurns(ctx context.Context, roomID string) (m chat.Message, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + roomID); err != nil {
			return err
		}
		var first, last int64
		err := tx.row(`SELECT COALESCE(MIN(seq), 0), COALESCE(MAX(seq), 0) FROM chat_messages WHERE room_id = ? AND speaker = 'user' AND answer = 0`, roomID).Scan(&first, &last)
		if err != nil {
			return err
		}
		if first == 0 {
			return chat.ErrNotFound
		}
		if _, err := tx.exec(`UPDATE chat_rooms SET stopped = ? WHERE id = ? AND stopped < ?`, last, roomID, last); err != nil {
			return err
		}
		m, err = scanMessage(tx.row(messageColumns+`WHERE room_id = ? AND seq = ?`, roomID, first))
		return err
	})
	return m, err
}

// Answer implements [chat.Store].
func (s Chats) Answer(ctx context.Context, to, answer chat.Message, end chat.Entry, after chat.Aftermath) (chat.Message, error) {
	err := s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + to.RoomID); err != nil {
			return err
		}
		given, err := answerable(tx, to)
		if err != nil {
			return err
		}
		if given > 0 { // by the caller, who did not hear of it
			answer.Seq = uint64(given)
			return nil
		}
		if answer, err = appendMessage(tx, answer); err != nil {
			return err
		}
		refused := chat.Finish("")
		if answer.Finish == chat.FinishRefused {
			refused = answer.Finish
		}
		if _, err := tx.exec(`UPDATE chat_messages SET answer = ?, finish = ? WHERE room_id = ? AND seq = ?`, int64(answer.Seq), string(refused), to.RoomID, int64(to.Seq)); err != nil {
			return err
		}
		if err := endTurn(tx, to, end); err != nil {
			return err
		}
		return aftermath(tx, after, answer)
	})
	return answer, err
}

// keepEnds is how long the ends of streams are kept at least, for servers that
// have missed them: several short turns may end while one falls behind.
const keepEnds = time.Minute

// forgetStream drops what was said before a moment, but for ends that are young.
func forgetStream(tx transaction, roomID string, at time.Time) error {
	_, err := tx.exec(`DELETE FROM chat_stream WHERE room_id = ? AND (kind <> ? OR at < ?)`, roomID, string(chat.StreamEnd), micros(at.Add(-keepEnds)))
	return err
}

// endTurn keeps the end of a stream in place of the rest.
func endTurn(tx transaction, to chat.Message, end chat.Entry) error {
	if err := forgetStream(tx, to.RoomID, end.At); err != nil {
		return err
	}
	if _, err := tx.exec(`DELETE FROM chat_turns WHERE room_id = ?`, to.RoomID); err != nil {
		return err
	}
	if _, err := tx.exec(`UPDATE chat_rooms SET stream_head = ? WHERE id = ?`, int64(end.Seq), to.RoomID); err != nil {
		return err
	}
	return addEntry(tx, to.RoomID, end)
}

func aftermath(tx transaction, after chat.Aftermath, answer chat.Message) error {
	for _, a := range after.Approvals {
		a.Seq = answer.Seq
		if err := addApproval(tx, a); err != nil {
			return err
		}
	}
	return addUsage(tx, after.Tenant, answer.At, after.Usage.Prompt, after.Usage.Completion)
}

// addUsage counts tokens that a tenant has used.
func addUsage(tx transaction, tenant string, at time.Time, prompt, completion int) error {
	if prompt+completion == 0 {
		return nil
	}
	_, err := tx.exec(`INSERT INTO chat_usage (tenant, day, prompt, completion) VALUES (?, ?, ?, ?)
		ON CONFLICT (tenant, day) DO UPDATE SET prompt = chat_usage.prompt + excluded.prompt, completion = chat_usage.completion + excluded.completion`,
		tenant, day(at), prompt, completion)
	return err
}

// AddUsage implements [chat.Usages].
func (s Chats) AddUsage(ctx context.Context, tenant string, at time.Time, u chat.Usage) error {
	return s.db.tx(ctx, func(tx transaction) error { return addUsage(tx, tenant, at, u.Prompt, u.Completion) })
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// Used implements [chat.Usages].
func (s Chats) Used(ctx context.Context, tenant string, at time.Time) (u chat.Usage, err error) {
	err = s.db.row(ctx, `SELECT prompt, completion FROM chat_usage WHERE tenant = ? AND day = ?`, tenant, day(at)).Scan(&u.Prompt, &u.Completion)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Usage{}, nil
	}
	return u, err
}
