package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/roomcast/roomcast/internal/chat"
)

// Chats are the conversations in a database.
type Chats struct{ db *DB }

var _ chat.Store = Chats{}

// Chats returns the conversations.
func (db *DB) Chats() Chats { return Chats{db} }

// CreateRoom implements [chat.Store].
func (s Chats) CreateRoom(ctx context.Context, r chat.Room) error {
	_, err := s.db.exec(ctx, `INSERT INTO chat_rooms (id, tenant, owner, created_at) VALUES (?, ?, ?, ?)`, r.ID, r.Tenant, r.Owner, micros(r.At))
	return err
}

// Room implements [chat.Store].
func (s Chats) Room(ctx context.Context, id string) (chat.Room, error) {
	var r chat.Room
	var at int64
	err := s.db.row(ctx, `SELECT id, tenant, owner, created_at FROM chat_rooms WHERE id = ?`, id).Scan(&r.ID, &r.Tenant, &r.Owner, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return r, chat.ErrNotFound
	}
	r.At = fromMicros(at)
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
func (s Chats) Append(ctx context.Context, m chat.Message) (chat.Message, error) {
	err := s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("chat:" + m.RoomID); err != nil {
			return err
		}
		var last sql.NullInt64
		if err := tx.row(`SELECT MAX(seq) FROM chat_messages WHERE room_id = ?`, m.RoomID).Scan(&last); err != nil {
			return err
		}
		m.Seq = uint64(last.Int64) + 1
		_, err := tx.exec(`INSERT INTO chat_messages (room_id, seq, speaker, user_id, text, action, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			m.RoomID, int64(m.Seq), string(m.Speaker), m.User, m.Text, string(m.Action), micros(m.At))
		return err
	})
	return m, err
}

// Messages implements [chat.Store].
func (s Chats) Messages(ctx context.Context, roomID string, limit int) ([]chat.Message, error) {
	latest, err := list(ctx, s.db, func(row scanner) (chat.Message, error) {
		m := chat.Message{RoomID: roomID}
		var seq, at int64
		err := row.Scan(&seq, &m.Speaker, &m.User, &m.Text, &m.Action, &at)
		m.Seq, m.At = uint64(seq), fromMicros(at)
		return m, err
	}, `SELECT seq, speaker, user_id, text, action, at FROM chat_messages WHERE room_id = ? ORDER BY seq DESC LIMIT ?`, roomID, limit)
	slices.Reverse(latest)
	return latest, err
}

// Unanswered implements [chat.Store].
func (s Chats) Unanswered(ctx context.Context) (map[string]int, error) {
	type count struct {
		room string
		n    int
	}
	counts, err := list(ctx, s.db, func(row scanner) (count, error) {
		var c count
		return c, row.Scan(&c.room, &c.n)
	}, `SELECT room_id, SUM(CASE speaker WHEN 'user' THEN 1 ELSE -1 END) AS open FROM chat_messages GROUP BY room_id HAVING SUM(CASE speaker WHEN 'user' THEN 1 ELSE -1 END) > 0`)
	open := make(map[string]int, len(counts))
	for _, c := range counts {
		open[c.room] = c.n
	}
	return open, err
}

// Propose implements [chat.Store].
func (s Chats) Propose(ctx context.Context, roomID string, p chat.Proposal) error {
	input, err := json.Marshal(p.Input)
	if err != nil {
		return err
	}
	_, err = s.db.exec(ctx, `INSERT INTO chat_proposals (room_id, workflow_id, title, input) VALUES (?, ?, ?, ?)
		ON CONFLICT (room_id) DO UPDATE SET workflow_id = excluded.workflow_id, title = excluded.title, input = excluded.input`,
		roomID, p.WorkflowID, p.Title, string(input))
	return err
}

func scanProposal(row scanner) (chat.Proposal, error) {
	var p chat.Proposal
	var input string
	err := row.Scan(&p.WorkflowID, &p.Title, &input)
	if errors.Is(err, sql.ErrNoRows) {
		return p, chat.ErrNotFound
	}
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(input), &p.Input)
}

// Proposal implements [chat.Store].
func (s Chats) Proposal(ctx context.Context, roomID string) (chat.Proposal, error) {
	return scanProposal(s.db.row(ctx, `SELECT workflow_id, title, input FROM chat_proposals WHERE room_id = ?`, roomID))
}

// TakeProposal implements [chat.Store].
func (s Chats) TakeProposal(ctx context.Context, roomID string) (chat.Proposal, error) {
	return scanProposal(s.db.change(ctx, `DELETE FROM chat_proposals WHERE room_id = ? RETURNING workflow_id, title, input`, roomID))
}
