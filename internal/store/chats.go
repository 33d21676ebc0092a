package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/chat"
)

// Chats are the conversations in a database.
type Chats struct{ db *DB }

var _ chat.Store = Chats{}

// Chats returns the conversations.
func (db *DB) Chats() Chats { return Chats{db} }

// CreateRoom implements [chat.Store].
func (s Chats) CreateRoom(ctx context.Context, r chat.Room) error {
	_, err := s.db.exec(ctx, `INSERT INTO chat_rooms (id, tenant, owner, title, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)`,
		r.ID, r.Tenant, r.Owner, r.Title, micros(r.At), micros(r.ChangedAt))
	return err
}

// Room implements [chat.Store].
func (s Chats) Room(ctx context.Context, id string) (chat.Room, error) {
	r, err := scanRoom(s.db.row(ctx, roomColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, chat.ErrNotFound
	}
	return r, err
}

const roomColumns = `SELECT id, tenant, owner, title, created_at, changed_at FROM chat_rooms `

func scanRoom(row scanner) (chat.Room, error) {
	var r chat.Room
	var at, changed int64
	err := row.Scan(&r.ID, &r.Tenant, &r.Owner, &r.Title, &at, &changed)
	r.At, r.ChangedAt = fromMicros(at), fromMicros(changed)
	return r, err
}

// BindRoom implements [chat.Store].
func (s Chats) BindRoom(ctx context.Context, id, tenant string) (chat.Room, error) {
	if _, err := s.db.exec(ctx, `UPDATE chat_rooms SET tenant = ? WHERE id = ? AND tenant = ''`, tenant, id); err != nil {
		return chat.Room{}, err
	}
	return s.Room(ctx, id)
}

// Append implements [chat.Store].
func (s Chats) Append(ctx context.Context, m chat.Message, open int) (chat.Message, error) {
	err := s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + m.RoomID); err != nil {
			return err
		}
		var n int
		if err := tx.row(`SELECT COUNT(*) FROM chat_messages WHERE room_id = ? AND speaker = 'user' AND answer = 0`, m.RoomID).Scan(&n); err != nil {
			return err
		}
		if n > open {
			return chat.ErrBusy
		}
		var err error
		m, err = appendMessage(tx, m)
		return err
	})
	return m, err
}

// appendMessage numbers a message and stores it. The lock of the room is held.
func appendMessage(tx transaction, m chat.Message) (chat.Message, error) {
	var last int64
	if err := tx.row(`SELECT COALESCE(MAX(seq), 0) FROM chat_messages WHERE room_id = ?`, m.RoomID).Scan(&last); err != nil {
		return m, err
	}
	m.Seq = uint64(last) + 1
	_, err := tx.exec(`INSERT INTO chat_messages (room_id, seq, speaker, user_id, text, action, at, finish, owner, once_key, session, reply_to) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.RoomID, int64(m.Seq), string(m.Speaker), m.User, m.Text, string(m.Action), micros(m.At), string(m.Finish), m.Owner, m.Key, m.Session, int64(m.ReplyTo))
	if err != nil {
		return m, err
	}
	res, err := tx.exec(`UPDATE chat_rooms SET changed_at = ? WHERE id = ?`, micros(m.At), m.RoomID)
	return m, affected(res, err, chat.ErrNotFound)
}

func scanMessage(row scanner) (chat.Message, error) {
	var m chat.Message
	var seq, at, replyTo int64
	err := row.Scan(&m.RoomID, &seq, &m.Speaker, &m.User, &m.Text, &m.Action, &at, &m.Finish, &m.Owner, &m.Session, &replyTo)
	m.Seq, m.At, m.ReplyTo = uint64(seq), fromMicros(at), uint64(replyTo)
	return m, err
}

const messageColumns = `SELECT room_id, seq, speaker, user_id, text, action, at, finish, owner, session, reply_to FROM chat_messages `

// Said implements [chat.Store].
func (s Chats) Said(ctx context.Context, roomID, key string) (m chat.Message, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + roomID); err != nil { // it may be being stored
			return err
		}
		m, err = scanMessage(tx.row(messageColumns+`WHERE room_id = ? AND once_key = ? AND once_key <> ''`, roomID, key))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Message{}, chat.ErrNotFound
	}
	return m, err
}

// Messages implements [chat.Store].
func (s Chats) Messages(ctx context.Context, roomID string, before uint64, limit int) ([]chat.Message, error) {
	if before == 0 || before > math.MaxInt64 {
		before = math.MaxInt64
	}
	latest, err := list(ctx, s.db, scanMessage, messageColumns+`WHERE room_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`, roomID, int64(before), limit)
	slices.Reverse(latest)
	return latest, err
}

// MessagesSince implements [chat.Store].
func (s Chats) MessagesSince(ctx context.Context, roomID string, after, until uint64, limit int) ([]chat.Message, error) {
	return list(ctx, s.db, scanMessage, messageColumns+`WHERE room_id = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`, roomID, int64(after), int64(until), limit)
}

// Cursor implements [chat.Store].
func (s Chats) Cursor(ctx context.Context, roomID, user string) (seq uint64, known bool, err error) {
	var at int64
	err = s.db.row(ctx, `SELECT seq FROM chat_cursors WHERE room_id = ? AND user_id = ?`, roomID, user).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return uint64(at), err == nil, err
}

// MoveCursor implements [chat.Store].
func (s Chats) MoveCursor(ctx context.Context, roomID, user string, seq uint64) error {
	_, err := s.db.exec(ctx, `INSERT INTO chat_cursors (room_id, user_id, seq) SELECT id, ?, CAST(? AS BIGINT) FROM chat_rooms WHERE id = ?
		ON CONFLICT (room_id, user_id) DO UPDATE SET seq = excluded.seq WHERE chat_cursors.seq < excluded.seq`, user, int64(seq), roomID)
	return err
}

// Depart implements [chat.Store].
func (s Chats) Depart(ctx context.Context, roomID, user string, seq uint64, at time.Time) error {
	_, err := s.db.exec(ctx, `INSERT INTO chat_departures (room_id, user_id, id, seq, at) SELECT id, ?, ?, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM chat_rooms WHERE id = ?`,
		user, uuid.NewString(), int64(seq), micros(at), roomID)
	return err
}

// Return implements [chat.Store].
func (s Chats) Return(ctx context.Context, roomID, user string, since time.Time) (seq uint64, found bool, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("departures:" + roomID); err != nil { // so that two that return take two
			return err
		}
		const of = ` FROM chat_departures WHERE room_id = ? AND user_id = ? `
		if _, err := tx.exec(`DELETE`+of+`AND at < ?`, roomID, user, micros(since)); err != nil {
			return err
		}
		var first sql.NullInt64
		if err := tx.row(`SELECT MIN(seq)`+of, roomID, user).Scan(&first); err != nil {
			return err
		}
		seq, found = uint64(first.Int64), first.Valid
		_, err := tx.exec(`DELETE`+of+`AND id = (SELECT id`+of+`ORDER BY seq DESC LIMIT 1)`, roomID, user, roomID, user)
		return err
	})
	return seq, found, err
}

// LastMessages implements [chat.Store].
func (s Chats) LastMessages(ctx context.Context, roomIDs []string) (map[string]uint64, error) {
	return latest(ctx, s.db, roomIDs, `SELECT MAX(seq) FROM chat_messages WHERE room_id = v.id`)
}

// Abandoned implements [chat.Store].
func (s Chats) Abandoned(ctx context.Context, limit int) ([]chat.Message, error) {
	return list(ctx, s.db, scanMessage, messageColumns+`WHERE speaker = 'user' AND answer = 0 AND `+s.db.ownerGone("chat_messages")+` ORDER BY room_id, seq LIMIT ?`, limit)
}

// Take implements [chat.Store].
func (s Chats) Take(ctx context.Context, m chat.Message, to string) (bool, error) {
	return s.db.take(ctx, "chat_messages", m.Owner, to, `room_id = ? AND seq = ? AND answer = 0`, m.RoomID, int64(m.Seq))
}
