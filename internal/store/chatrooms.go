package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"

	"github.com/roomcast/roomcast/internal/chat"
)

// IsMember implements [chat.Store].
func (s Chats) IsMember(ctx context.Context, roomID, user string) (member bool, err error) {
	var n int
	err = s.db.row(ctx, `SELECT COUNT(*) FROM chat_members WHERE room_id = ? AND user_id = ?`, roomID, user).Scan(&n)
	return n > 0, err
}

// Members implements [chat.Store].
func (s Chats) Members(ctx context.Context, roomID string) ([]chat.Member, error) {
	return list(ctx, s.db, func(row scanner) (chat.Member, error) {
		var m chat.Member
		var at int64
		err := row.Scan(&m.RoomID, &m.User, &m.AddedBy, &at)
		m.At = fromMicros(at)
		return m, err
	}, `SELECT room_id, user_id, added_by, at FROM chat_members WHERE room_id = ? ORDER BY at, user_id`, roomID)
}

// AddMember implements [chat.Store].
func (s Chats) AddMember(ctx context.Context, m chat.Member) (added bool, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + m.RoomID); err != nil {
			return err
		}
		var n int
		if err := tx.row(`SELECT COUNT(*) FROM chat_rooms WHERE id = ?`, m.RoomID).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return chat.ErrNotFound
		}
		res, err := tx.exec(`INSERT INTO chat_members (room_id, user_id, added_by, at) VALUES (?, ?, ?, ?) ON CONFLICT (room_id, user_id) DO NOTHING`,
			m.RoomID, m.User, m.AddedBy, micros(m.At))
		added, err = changed(res, err)
		return err
	})
	return added, err
}

// RemoveMember implements [chat.Store].
func (s Chats) RemoveMember(ctx context.Context, roomID, user string) (removed bool, err error) {
	return changed(s.db.exec(ctx, `DELETE FROM chat_members WHERE room_id = ? AND user_id = ?`, roomID, user))
}

// RoomsOf implements [chat.Store].
func (s Chats) RoomsOf(ctx context.Context, tenant, user string, after chat.Room, limit int) ([]chat.Room, error) {
	at := int64(math.MaxInt64)
	if !after.ChangedAt.IsZero() {
		at = micros(after.ChangedAt)
	}
	const page = ` AND tenant = ? AND changed_at <= ? AND (changed_at < ? OR id < ?) ORDER BY changed_at DESC, id DESC LIMIT ?`
	args := []any{user, tenant, at, at, after.ID, limit}
	// One after the other, so that both find theirs by an index.
	return list(ctx, s.db, scanRoom, `SELECT * FROM (`+roomColumns+`WHERE owner = ?`+page+`) AS own
		UNION SELECT * FROM (`+roomColumns+`JOIN chat_members ON room_id = id WHERE user_id = ?`+page+`) AS others
		ORDER BY changed_at DESC, id DESC LIMIT ?`, append(slices.Concat(args, args), limit)...)
}

// SetTitle implements [chat.Store].
func (s Chats) SetTitle(ctx context.Context, id, title string) error {
	res, err := s.db.exec(ctx, `UPDATE chat_rooms SET title = ? WHERE id = ?`, title, id)
	return affected(res, err, chat.ErrNotFound)
}

// NameRoom implements [chat.Store].
func (s Chats) NameRoom(ctx context.Context, id, title string) (named bool, err error) {
	return changed(s.db.exec(ctx, `UPDATE chat_rooms SET title = ? WHERE id = ? AND title = ''`, title, id))
}

// DeleteRoom implements [chat.Store].
func (s Chats) DeleteRoom(ctx context.Context, id string) (answering chat.Message, err error) {
	err = s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + id); err != nil {
			return err
		}
		answering, err = scanMessage(tx.row(messageColumns+`WHERE room_id = ? AND speaker = 'user' AND answer = 0 ORDER BY seq LIMIT 1`, id))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		res, err := tx.exec(`DELETE FROM chat_rooms WHERE id = ?`, id)
		if err := affected(res, err, chat.ErrNotFound); err != nil {
			return err
		}
		// The turn first: what is being added to its stream is then added
		// before, or not at all.
		for _, table := range []string{"chat_turns", "chat_stream", "chat_messages", "chat_approvals", "chat_members", "chat_cursors", "chat_departures"} {
			if _, err := tx.exec(`DELETE FROM `+table+` WHERE room_id = ?`, id); err != nil {
				return err
			}
		}
		return nil
	})
	return answering, err
}
