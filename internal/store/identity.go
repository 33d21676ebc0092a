package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/identity"
)

// Identity is the API keys and revocations in a database.
type Identity struct{ db *DB }

var (
	_ identity.KeyStore        = Identity{}
	_ identity.RevocationStore = Identity{}
)

// Identity returns the API keys and revocations.
func (db *DB) Identity() Identity { return Identity{db} }

// CreateKey implements [identity.KeyStore].
func (s Identity) CreateKey(ctx context.Context, k identity.Key) error {
	_, err := s.db.exec(ctx, `INSERT INTO api_keys (id, name, prefix, sha256, user_id, tenant, role, created_by, created_at, disabled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		k.ID, k.Name, k.Prefix, k.SHA256, k.User, k.Tenant, string(k.Role), k.CreatedBy, micros(k.CreatedAt))
	return err
}

const keyColumns = `SELECT id, name, prefix, sha256, user_id, tenant, role, created_by, created_at, disabled_at FROM api_keys `

func scanKey(row scanner) (identity.Key, error) {
	var k identity.Key
	var created, disabled int64
	err := row.Scan(&k.ID, &k.Name, &k.Prefix, &k.SHA256, &k.User, &k.Tenant, &k.Role, &k.CreatedBy, &created, &disabled)
	k.CreatedAt = fromMicros(created)
	if disabled != 0 {
		at := fromMicros(disabled)
		k.DisabledAt = &at
	}
	return k, err
}

// Key implements [identity.KeyStore].
func (s Identity) Key(ctx context.Context, id string) (identity.Key, error) {
	k, err := scanKey(s.db.row(ctx, keyColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return k, identity.ErrNotFound
	}
	return k, err
}

// Keys implements [identity.KeyStore].
func (s Identity) Keys(ctx context.Context, tenant string) ([]identity.Key, error) {
	return list(ctx, s.db, scanKey, keyColumns+`WHERE tenant = ? ORDER BY created_at, id`, tenant)
}

// KeysByPrefix implements [auth.KeyStore].
func (s Identity) KeysByPrefix(ctx context.Context, prefix string) ([]auth.APIKey, error) {
	return list(ctx, s.db, func(row scanner) (auth.APIKey, error) {
		k, err := scanKey(row)
		return auth.APIKey{
			ID: k.ID, Name: k.Name, Prefix: k.Prefix, SHA256: k.SHA256, User: k.User, Tenant: k.Tenant, Role: k.Role,
			Disabled: k.DisabledAt != nil, Created: k.CreatedAt,
		}, err
	}, keyColumns+`WHERE prefix = ?`, prefix)
}

// DisableKey implements [identity.KeyStore].
func (s Identity) DisableKey(ctx context.Context, id string, at time.Time) error {
	res, err := s.db.exec(ctx, `UPDATE api_keys SET disabled_at = ? WHERE id = ?`, micros(at), id)
	return affected(res, err, identity.ErrNotFound)
}

// AnyKey implements [identity.KeyStore].
func (s Identity) AnyKey(ctx context.Context) (bool, error) {
	var n int
	err := s.db.row(ctx, `SELECT COUNT(*) FROM api_keys WHERE disabled_at = 0`).Scan(&n)
	return n > 0, err
}

// AddRevocation implements [identity.RevocationStore].
func (s Identity) AddRevocation(ctx context.Context, r identity.Revocation) error {
	return s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("revocations"); err != nil {
			return err
		}
		var last int64
		if err := tx.row(`SELECT COALESCE(MAX(seq), 0) FROM revocations`).Scan(&last); err != nil {
			return err
		}
		_, err := tx.exec(`INSERT INTO revocations (seq, kind, subject, at, by_user, reason) VALUES (?, ?, ?, ?, ?, ?)`,
			last+1, string(r.Kind), r.ID, micros(r.At), r.By, r.Reason)
		return err
	})
}

// Revocations implements [identity.RevocationStore].
func (s Identity) Revocations(ctx context.Context, after int64) ([]identity.Revocation, error) {
	return list(ctx, s.db, func(row scanner) (identity.Revocation, error) {
		var r identity.Revocation
		var at int64
		err := row.Scan(&r.Seq, &r.Kind, &r.ID, &at, &r.By, &r.Reason)
		r.At = fromMicros(at)
		return r, err
	}, `SELECT seq, kind, subject, at, by_user, reason FROM revocations WHERE seq > ? ORDER BY seq`, after)
}
