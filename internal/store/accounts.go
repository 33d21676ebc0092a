package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/accounts"
)

// Accounts is the accounts of the dialect action, in a database.
type Accounts struct{ db *DB }

var _ accounts.Store = Accounts{}

// Accounts returns the accounts of the dialect action.
func (db *DB) Accounts() Accounts { return Accounts{db} }

// CreateAccount implements [accounts.Store].
func (s Accounts) CreateAccount(ctx context.Context, a accounts.Account, most int) error {
	return s.db.tx(ctx, func(tx transaction) error {
		if err := tx.lock("accounts:" + a.Tenant); err != nil {
			return err
		}
		var taken, all int
		err := tx.row(`SELECT COALESCE(SUM(CASE WHEN lookup = ? THEN 1 ELSE 0 END), 0), COUNT(*) FROM accounts WHERE tenant = ?`, a.Lookup, a.Tenant).Scan(&taken, &all)
		switch {
		case err != nil:
			return err
		case taken > 0:
			return accounts.ErrTaken
		case all >= most:
			return accounts.ErrFull
		}
		_, err = tx.exec(`INSERT INTO accounts (id, tenant, lookup, checksum, name, prompt, token, created_at, holder, held_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0)`,
			a.ID, a.Tenant, a.Lookup, a.Checksum, a.Name, a.Prompt, a.Token, micros(a.CreatedAt))
		return err
	})
}

const accountColumns = `SELECT id, tenant, lookup, checksum, name, prompt, token, created_at FROM accounts `

func scanAccount(row scanner) (accounts.Account, error) {
	var a accounts.Account
	var created int64
	err := row.Scan(&a.ID, &a.Tenant, &a.Lookup, &a.Checksum, &a.Name, &a.Prompt, &a.Token, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return accounts.Account{}, accounts.ErrNotFound
	}
	a.CreatedAt = fromMicros(created)
	return a, err
}

// AccountByLookup implements [accounts.Store].
func (s Accounts) AccountByLookup(ctx context.Context, tenant, lookup string) (accounts.Account, error) {
	return scanAccount(s.db.row(ctx, accountColumns+`WHERE tenant = ? AND lookup = ?`, tenant, lookup))
}

// Account implements [accounts.Store].
func (s Accounts) Account(ctx context.Context, id string) (accounts.Account, error) {
	return scanAccount(s.db.row(ctx, accountColumns+`WHERE id = ?`, id))
}

// SetToken implements [accounts.Store].
func (s Accounts) SetToken(ctx context.Context, id, hash string) error {
	res, err := s.db.exec(ctx, `UPDATE accounts SET token = ? WHERE id = ?`, hash, id)
	return affected(res, err, accounts.ErrNotFound)
}

// DropToken implements [accounts.Store].
func (s Accounts) DropToken(ctx context.Context, id, hash string) error {
	res, err := s.db.exec(ctx, `UPDATE accounts SET token = '' WHERE id = ? AND token = ? AND token <> ''`, id, hash)
	return affected(res, err, accounts.ErrNotFound)
}

// TakeTurn implements [accounts.TurnStore].
func (s Accounts) TakeTurn(ctx context.Context, account, holder string, ttl time.Duration) (bool, error) {
	now := s.db.dialect.Now
	res, err := s.db.exec(ctx, `UPDATE accounts SET holder = ?, held_until = `+now+` + ? WHERE id = ? AND (holder = ? OR held_until <= `+now+`
		OR NOT EXISTS (SELECT 1 FROM instances WHERE instances.id = accounts.holder AND expires_at > `+now+`))`,
		holder, ttl.Microseconds(), account, holder)
	if err = affected(res, err, accounts.ErrNotFound); errors.Is(err, accounts.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Exchanges implements [accounts.TurnStore].
func (s Accounts) Exchanges(ctx context.Context, account string, last int) ([]accounts.Exchange, error) {
	all, err := list(ctx, s.db, func(row scanner) (accounts.Exchange, error) {
		var x accounts.Exchange
		var at int64
		err := row.Scan(&x.Message, &x.Answer, &at)
		x.At = fromMicros(at)
		return x, err
	}, `SELECT message, answer, at FROM account_exchanges WHERE account_id = ? ORDER BY seq DESC LIMIT ?`, account, last)
	slices.Reverse(all)
	return all, err
}

// EndTurn implements [accounts.TurnStore].
func (s Accounts) EndTurn(ctx context.Context, account, holder string, x *accounts.Exchange, keep int) error {
	return s.db.tx(ctx, func(tx transaction) error {
		res, err := tx.exec(`UPDATE accounts SET holder = '', held_until = 0 WHERE id = ? AND holder = ?`, account, holder)
		if err = affected(res, err, accounts.ErrLost); err != nil || x == nil {
			return err
		}
		var last int64
		var tenant string
		err = tx.row(`SELECT tenant, (SELECT COALESCE(MAX(seq), 0) FROM account_exchanges WHERE account_id = accounts.id) FROM accounts WHERE id = ?`, account).Scan(&tenant, &last)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`INSERT INTO account_exchanges (account_id, seq, message, answer, at) VALUES (?, ?, ?, ?, ?)`, account, last+1, x.Message, x.Answer, micros(x.At)); err != nil {
			return err
		}
		if _, err := tx.exec(`DELETE FROM account_exchanges WHERE account_id = ? AND seq <= ?`, account, last+1-int64(keep)); err != nil {
			return err
		}
		return addUsage(tx, tenant, x.At, x.Prompt, x.Completion)
	})
}
