package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/once"
)

// Once is what clients asked to happen once, in a database.
type Once struct{ db *DB }

var _ once.Store = Once{}

// Once returns what clients asked to happen once.
func (db *DB) Once() Once { return Once{db} }

// Claim implements [once.Store].
func (s Once) Claim(ctx context.Context, n once.Name, hash, seed string, now, until, forgotten time.Time) (once.Claim, error) {
	for {
		mine, err := s.insert(ctx, n, hash, seed, now, until)
		if err != nil || mine {
			return once.Claim{Mine: mine, Hash: hash, Seed: seed}, err
		}
		claim, lease, at, err := s.claim(ctx, n)
		switch {
		case errors.Is(err, sql.ErrNoRows): // it has just been forgotten
			continue
		case err != nil:
			return once.Claim{}, err
		case at < micros(forgotten):
			if _, err := s.db.exec(ctx, `DELETE FROM once WHERE user_id = ? AND event = ? AND id = ? AND at = ?`, n.User, n.Event, n.ID, at); err != nil {
				return once.Claim{}, err
			}
			continue
		case claim.Done, lease >= micros(now), claim.Hash != hash:
			return claim, nil
		}
		// Of several who take it up again one finds the lease as it was.
		res, err := s.db.exec(ctx, `UPDATE once SET until = ? WHERE user_id = ? AND event = ? AND id = ? AND seed = ? AND until = ?`,
			micros(until), n.User, n.Event, n.ID, claim.Seed, lease)
		if err = affected(res, err, sql.ErrNoRows); errors.Is(err, sql.ErrNoRows) {
			continue
		}
		claim.Mine, claim.Again = err == nil, true
		return claim, err
	}
}

func (s Once) insert(ctx context.Context, n once.Name, hash, seed string, now, until time.Time) (bool, error) {
	res, err := s.db.exec(ctx, `INSERT INTO once (user_id, event, id, hash, seed, until, reply, at) VALUES (?, ?, ?, ?, ?, ?, '', ?)
		ON CONFLICT (user_id, event, id) DO NOTHING`, n.User, n.Event, n.ID, hash, seed, micros(until), micros(now))
	if err = affected(res, err, sql.ErrNoRows); errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s Once) claim(ctx context.Context, n once.Name) (c once.Claim, lease, at int64, err error) {
	var reply string
	err = s.db.row(ctx, `SELECT hash, seed, until, reply, at FROM once WHERE user_id = ? AND event = ? AND id = ?`,
		n.User, n.Event, n.ID).Scan(&c.Hash, &c.Seed, &lease, &reply, &at)
	c.Done, c.Reply = lease == 0, []byte(reply)
	return c, lease, at, err
}

// Finish implements [once.Store].
func (s Once) Finish(ctx context.Context, n once.Name, seed string, reply []byte) error {
	_, err := s.db.exec(ctx, `UPDATE once SET until = 0, reply = ? WHERE user_id = ? AND event = ? AND id = ? AND seed = ? AND until > 0`,
		string(reply), n.User, n.Event, n.ID, seed)
	return err
}

// GiveUp implements [once.Store].
func (s Once) GiveUp(ctx context.Context, n once.Name, seed string) error {
	_, err := s.db.exec(ctx, `UPDATE once SET until = 1 WHERE user_id = ? AND event = ? AND id = ? AND seed = ? AND until > 0`, n.User, n.Event, n.ID, seed)
	return err
}

// Forget implements [once.Store].
func (s Once) Forget(ctx context.Context, n once.Name, seed string) error {
	_, err := s.db.exec(ctx, `DELETE FROM once WHERE user_id = ? AND event = ? AND id = ? AND seed = ? AND until > 0`, n.User, n.Event, n.ID, seed)
	return err
}

// TrimClaims implements [once.Store].
func (s Once) TrimClaims(ctx context.Context, before time.Time, limit int) (int, error) {
	res, err := s.db.exec(ctx, `DELETE FROM once WHERE (user_id, event, id) IN (SELECT user_id, event, id FROM once WHERE at < ? ORDER BY at LIMIT ?) AND at < ?`,
		micros(before), limit, micros(before))
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}
