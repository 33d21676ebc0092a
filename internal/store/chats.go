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
	err := s.db.tx(ctx, func(tx transaction) (err error) {
		m, err = appendMessage(tx, m)
		return err
	})
	return m, err
}

// appendMessage numbers a message and stores it.
func appendMessage(tx transaction, m chat.Message) (chat.Message, error) {
	if err := tx.lock("chat:" + m.RoomID); err != nil {
		return m, err
	}
	var last int64
	if err := tx.row(`SELECT COALESCE(MAX(seq), 0) FROM chat_messages WHERE room_id = ?`, m.RoomID).Scan(&last); err != nil {
		return m, err
	}
	m.Seq = uint64(last) + 1
	_, err := tx.exec(`INSERT INTO chat_messages (room_id, seq, speaker, user_id, text, action, at, owner, once_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.RoomID, int64(m.Seq), string(m.Speaker), m.User, m.Text, string(m.Action), micros(m.At), m.Owner, m.Key)
	return m, err
}

// Answer implements [chat.Store].
func (s Chats) Answer(ctx context.Context, to, answer chat.Message, p *chat.Proposal) (chat.Message, error) {
	err := s.db.tx(ctx, func(tx transaction) (err error) {
		if err := tx.lock("chat:" + to.RoomID); err != nil {
			return err
		}
		var owner string
		var given int64
		err = tx.row(`SELECT owner, answer FROM chat_messages WHERE room_id = ? AND seq = ? AND speaker = 'user'`, to.RoomID, int64(to.Seq)).Scan(&owner, &given)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return chat.ErrNotFound
		case err != nil:
			return err
		case owner != to.Owner, given < 0:
			return chat.ErrAnswered
		case given > 0: // by the caller, who did not hear of it
			answer.Seq = uint64(given)
			return nil
		}
		if answer, err = appendMessage(tx, answer); err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE chat_messages SET answer = ? WHERE room_id = ? AND seq = ?`, int64(answer.Seq), to.RoomID, int64(to.Seq)); err != nil || p == nil {
			return err
		}
		return propose(tx, to.RoomID, *p)
	})
	return answer, err
}

func scanMessage(row scanner) (chat.Message, error) {
	var m chat.Message
	var seq, at int64
	err := row.Scan(&m.RoomID, &seq, &m.Speaker, &m.User, &m.Text, &m.Action, &at, &m.Owner)
	m.Seq, m.At = uint64(seq), fromMicros(at)
	return m, err
}

const messageColumns = `SELECT room_id, seq, speaker, user_id, text, action, at, owner FROM chat_messages `

// Said implements [chat.Store].
func (s Chats) Said(ctx context.Context, roomID, key string) (chat.Message, error) {
	m, err := scanMessage(s.db.row(ctx, messageColumns+`WHERE room_id = ? AND once_key = ? AND once_key <> ''`, roomID, key))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Message{}, chat.ErrNotFound
	}
	return m, err
}

// Messages implements [chat.Store].
func (s Chats) Messages(ctx context.Context, roomID string, limit int) ([]chat.Message, error) {
	latest, err := list(ctx, s.db, scanMessage, messageColumns+`WHERE room_id = ? ORDER BY seq DESC LIMIT ?`, roomID, limit)
	slices.Reverse(latest)
	return latest, err
}

// Answers implements [chat.Store].
func (s Chats) Answers(ctx context.Context, roomID string, after, until uint64) ([]chat.Message, error) {
	return list(ctx, s.db, scanMessage, messageColumns+`WHERE room_id = ? AND speaker = 'bot' AND seq > ? AND seq <= ? ORDER BY seq`, roomID, int64(after), int64(until))
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

// Abandoned implements [chat.Store].
func (s Chats) Abandoned(ctx context.Context, limit int) ([]chat.Message, error) {
	return list(ctx, s.db, scanMessage, messageColumns+`WHERE speaker = 'user' AND answer = 0 AND `+s.db.ownerGone("chat_messages")+` ORDER BY room_id, seq LIMIT ?`, limit)
}

// Take implements [chat.Store].
func (s Chats) Take(ctx context.Context, m chat.Message, to string) (bool, error) {
	return s.db.take(ctx, "chat_messages", m.Owner, to, `room_id = ? AND seq = ? AND answer = 0`, m.RoomID, int64(m.Seq))
}

// propose replaces the proposal of a room.
func propose(tx transaction, roomID string, p chat.Proposal) error {
	input, err := json.Marshal(p.Input)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO chat_proposals (room_id, workflow_id, title, input) VALUES (?, ?, ?, ?)
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
