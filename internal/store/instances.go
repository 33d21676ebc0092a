package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/roomcast/roomcast/internal/instances"
)

// Instances are the servers that share a database.
type Instances struct{ db *DB }

var _ instances.Store = Instances{}

// Instances returns the servers that share the database.
func (db *DB) Instances() Instances { return Instances{db} }

// Register implements [instances.Store].
func (s Instances) Register(ctx context.Context, id string, ttl time.Duration) error {
	now := s.db.dialect.Now
	_, err := s.db.exec(ctx, `INSERT INTO instances (id, started_at, expires_at) VALUES (?, `+now+`, `+now+` + ?)`, id, ttl.Microseconds())
	return err
}

// Renew implements [instances.Store].
func (s Instances) Renew(ctx context.Context, id string, ttl time.Duration) error {
	res, err := s.db.exec(ctx, `UPDATE instances SET expires_at = `+s.db.dialect.Now+` + ? WHERE id = ? AND expires_at <> 0`, ttl.Microseconds(), id)
	return affected(res, err, instances.ErrGone)
}

// Remove implements [instances.Store].
func (s Instances) Remove(ctx context.Context, id string) error {
	_, err := s.db.exec(ctx, `DELETE FROM instances WHERE id = ?`, id)
	return err
}

// RemoveAll implements [instances.Store].
func (s Instances) RemoveAll(ctx context.Context) error {
	_, err := s.db.exec(ctx, `DELETE FROM instances`)
	return err
}

// RemoveSilent implements [instances.Store].
func (s Instances) RemoveSilent(ctx context.Context) (ids []string, err error) {
	return listOf(ctx, s.db, s.db.write, func(row scanner) (id string, err error) {
		return id, row.Scan(&id)
	}, `DELETE FROM instances WHERE expires_at <= `+s.db.dialect.Now+` RETURNING id`)
}

// Alive implements [instances.Store].
func (s Instances) Alive(ctx context.Context) ([]string, error) {
	return list(ctx, s.db, func(row scanner) (id string, err error) {
		return id, row.Scan(&id)
	}, `SELECT id FROM instances WHERE expires_at > `+s.db.dialect.Now+` ORDER BY started_at, id`)
}

// NextExpiry implements [instances.Store].
func (s Instances) NextExpiry(ctx context.Context) (left time.Duration, any bool, err error) {
	now := s.db.dialect.Now
	var micros sql.NullInt64
	err = s.db.row(ctx, `SELECT MIN(expires_at) - `+now+` FROM instances WHERE expires_at > `+now).Scan(&micros)
	return time.Duration(micros.Int64) * time.Microsecond, micros.Valid, err
}

// ownerGone is true of rows whose owner is not there any more, or that have
// none.
func (db *DB) ownerGone(table string) string {
	return `NOT EXISTS (SELECT 1 FROM instances WHERE instances.id = ` + table + `.owner AND instances.expires_at > ` + db.dialect.Now + `)`
}

// take gives rows of a dead owner to another, or those of none: exactly one of
// many who try succeeds. The row of the dead owner is marked with 0, so that it
// cannot come back, and left to RemoveSilent.
func (db *DB) take(ctx context.Context, table, from, to, where string, key ...any) (taken bool, err error) {
	err = db.tx(ctx, func(tx transaction) error {
		if _, err := tx.exec(`UPDATE instances SET expires_at = 0 WHERE id = ? AND expires_at <= `+db.dialect.Now, from); err != nil {
			return err
		}
		res, err := tx.exec(`UPDATE `+table+` SET owner = ? WHERE owner = ? AND NOT EXISTS (SELECT 1 FROM instances WHERE id = ? AND expires_at <> 0) AND `+where,
			append([]any{to, from, from}, key...)...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		taken = n > 0
		return err
	})
	return taken, err
}
