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
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var last sql.NullInt64
		if err := tx.QueryRowContext(ctx, s.db.rebind(`SELECT MAX(seq) FROM chat_messages WHERE room_id = ?`), m.RoomID).Scan(&last); err != nil {
			return err
		}
		m.Seq = uint64(last.Int64) + 1
		_, err := tx.ExecContext(ctx, s.db.rebind(`INSERT INTO chat_messages (room_id, seq, speaker, user_id, text, action, at, once_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
			m.RoomID, int64(m.Seq), string(m.Speaker), m.User, m.Text, string(m.Action), micros(m.At), m.Key)
		return err
	})
	return m, err
}

func scanMessage(roomID string) func(row scanner) (chat.Message, error) {
	return func(row scanner) (chat.Message, error) {
		m := chat.Message{RoomID: roomID}
		var seq, at int64
		err := row.Scan(&seq, &m.Speaker, &m.User, &m.Text, &m.Action, &at)
		m.Seq, m.At = uint64(seq), fromMicros(at)
		return m, err
	}
}

// Said implements [chat.Store].
func (s Chats) Said(ctx context.Context, roomID, key string) (chat.Message, error) {
	m, err := scanMessage(roomID)(s.db.row(ctx, `SELECT seq, speaker, user_id, text, action, at FROM chat_messages WHERE room_id = ? AND once_key = ? AND once_key <> ''`, roomID, key))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Message{}, chat.ErrNotFound
	}
	return m, err
}

// Messages implements [chat.Store].
func (s Chats) Messages(ctx context.Context, roomID string, limit int) ([]chat.Message, error) {
	latest, err := list(ctx, s.db, scanMessage(roomID), `SELECT seq, speaker, user_id, text, action, at FROM chat_messages WHERE room_id = ? ORDER BY seq DESC LIMIT ?`, roomID, limit)
	slices.Reverse(latest)
	return latest, err
}

// Answers implements [chat.Store].
func (s Chats) Answers(ctx context.Context, roomID string, after, until uint64) ([]chat.Message, error) {
	return list(ctx, s.db, scanMessage(roomID), `SELECT seq, speaker, user_id, text, action, at FROM chat_messages
		WHERE room_id = ? AND speaker = 'bot' AND seq > ? AND seq <= ? ORDER BY seq`, roomID, int64(after), int64(until))
}

// AnswerBefore implements [chat.Store].
func (s Chats) AnswerBefore(ctx context.Context, roomID string, seq uint64) (uint64, error) {
	var prev int64
	err := s.db.row(ctx, `SELECT COALESCE(MAX(seq), 0) FROM chat_messages WHERE room_id = ? AND speaker = 'bot' AND seq < ?`, roomID, int64(seq)).Scan(&prev)
	return uint64(prev), err
}

// LastAnswers implements [chat.Store].
func (s Chats) LastAnswers(ctx context.Context, roomIDs []string) (map[string]uint64, error) {
	return latest(ctx, s.db, roomIDs, `SELECT room_id, MAX(seq) FROM chat_messages WHERE speaker = 'bot' AND room_id IN (%s) GROUP BY room_id`)
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
	return scanProposal(s.db.write.QueryRowContext(ctx, s.db.rebind(`DELETE FROM chat_proposals WHERE room_id = ? RETURNING workflow_id, title, input`), roomID))
}
