package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat"
)

const approvalColumns = `SELECT id, room_id, seq, tenant, tool, title, arguments, version, hash, proposed_at, expires_at,
	status, decided_by, decided_as, decided_at, owner, reason, done, ok, outcome, instance_id FROM chat_approvals `

func scanApproval(row scanner) (chat.Approval, error) {
	var a chat.Approval
	var arguments, role string
	var seq, proposed, expires, decided, done, ok int64
	err := row.Scan(&a.ID, &a.RoomID, &seq, &a.Tenant, &a.Tool, &a.Title, &arguments, &a.Version, &a.Hash, &proposed, &expires,
		&a.Status, &a.By, &role, &decided, &a.Owner, &a.Reason, &done, &ok, &a.Outcome.Text, &a.Outcome.InstanceID)
	if errors.Is(err, sql.ErrNoRows) {
		return a, chat.ErrNotFound
	}
	a.Arguments = json.RawMessage(arguments)
	if a.Hash == "" { // older than hashes
		a.Hash = chat.HashOf(a.Proposal)
	}
	a.Seq, a.Role, a.Done, a.Outcome.OK = uint64(seq), auth.Role(role), done != 0, ok != 0
	a.ProposedAt, a.ExpiresAt, a.At = fromMicros(proposed), fromMicros(expires), fromMicros(decided)
	return a, err
}

// addApproval stores a pending one.
func addApproval(tx transaction, a chat.Approval) error {
	_, err := tx.exec(`INSERT INTO chat_approvals (id, room_id, seq, tenant, tool, title, arguments, version, hash, proposed_at, expires_at, status, decided_by, decided_at, outcome)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, '')`,
		a.ID, a.RoomID, int64(a.Seq), a.Tenant, a.Tool, a.Title, string(a.Arguments), a.Version, a.Hash, micros(a.ProposedAt), micros(a.ExpiresAt), string(chat.Pending))
	return err
}

// Approval implements [chat.Store].
func (s Chats) Approval(ctx context.Context, id string) (chat.Approval, error) {
	return scanApproval(s.db.row(ctx, approvalColumns+`WHERE id = ?`, id))
}

// RecentApprovals implements [chat.Store].
func (s Chats) RecentApprovals(ctx context.Context, roomID string, limit int) ([]chat.Approval, error) {
	latest, err := list(ctx, s.db, scanApproval, approvalColumns+`WHERE room_id = ? ORDER BY proposed_at DESC, seq DESC, id DESC LIMIT ?`, roomID, limit)
	slices.Reverse(latest)
	return latest, err
}

// OpenApprovals implements [chat.Store].
func (s Chats) OpenApprovals(ctx context.Context, roomID string) ([]chat.Approval, error) {
	return list(ctx, s.db, scanApproval, approvalColumns+`WHERE room_id = ? AND (status = 'pending' OR `+undone+`) ORDER BY proposed_at, seq, id LIMIT ?`, roomID, math.MaxInt32)
}

// undone is true of what is approved and to be done.
const undone = `(status = 'approved' AND done = 0)`

// DecideApproval implements [chat.Store].
func (s Chats) DecideApproval(ctx context.Context, id string, d chat.Decision) (a chat.Approval, decided bool, err error) {
	res, err := s.db.exec(ctx, `UPDATE chat_approvals SET status = ?, decided_by = ?, decided_as = ?, decided_at = ?, owner = ?, reason = ? WHERE id = ? AND status = 'pending'`,
		string(d.Status), d.By, string(d.Role), micros(d.At), d.Owner, d.Reason, id)
	if err != nil {
		return a, false, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return a, false, fmt.Errorf("deciding an approval: %w", err)
	}
	a, err = s.Approval(ctx, id)
	return a, n > 0, err
}

// FinishApproval implements [chat.Store].
func (s Chats) FinishApproval(ctx context.Context, id, owner string, o chat.Outcome) error {
	var ok int64
	if o.OK {
		ok = 1
	}
	res, err := s.db.exec(ctx, `UPDATE chat_approvals SET done = 1, ok = ?, outcome = ?, instance_id = ? WHERE id = ? AND owner = ? AND `+undone, ok, o.Text, o.InstanceID, id, owner)
	return affected(res, err, chat.ErrAnswered)
}

// OverdueApprovals implements [chat.Store].
func (s Chats) OverdueApprovals(ctx context.Context, at time.Time, limit int) ([]chat.Approval, error) {
	return list(ctx, s.db, scanApproval, approvalColumns+`WHERE status = 'pending' AND expires_at <= ? ORDER BY expires_at LIMIT ?`, micros(at), limit)
}

// AbandonedApprovals implements [chat.Store].
func (s Chats) AbandonedApprovals(ctx context.Context, owner string, limit int) ([]chat.Approval, error) {
	return list(ctx, s.db, scanApproval, approvalColumns+`WHERE `+undone+` AND (owner = ? OR `+s.db.ownerGone("chat_approvals")+`) ORDER BY decided_at LIMIT ?`, owner, limit)
}

// TakeApproval implements [chat.Store].
func (s Chats) TakeApproval(ctx context.Context, a chat.Approval, to string) (bool, error) {
	return s.db.take(ctx, "chat_approvals", a.Owner, to, `id = ? AND `+undone, a.ID)
}
