// Package store keeps what must outlive the process, in a SQL database. The
// statements are the same for every database; packages below this one open
// them. The interfaces that it implements are those of the services, and
// storetest holds the suite that every database must pass.
package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A DB is an open database. Its methods may be called concurrently.
type DB struct {
	// read may be a pool of its own where writers and readers do not mix.
	write, read *sql.DB
	rebind      func(query string) string
	closers     []func() error
}

// Open takes over two pools, which may be the same, and brings the schema up
// to date. rebind turns ? placeholders into those of the database; nil leaves
// them.
func Open(ctx context.Context, dialect goose.Dialect, write, read *sql.DB, rebind func(string) string) (*DB, error) {
	if rebind == nil {
		rebind = func(query string) string { return query }
	}
	db := &DB{write: write, read: read, rebind: rebind, closers: []func() error{write.Close}}
	if read != write {
		db.closers = append(db.closers, read.Close)
	}
	if err := migrate(ctx, dialect, write); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, files)
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// Close closes the database.
func (db *DB) Close() error {
	var first error
	for _, c := range db.closers {
		if err := c(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

func (db *DB) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return db.write.ExecContext(ctx, db.rebind(query), args...)
}

func (db *DB) row(ctx context.Context, query string, args ...any) *sql.Row {
	return db.read.QueryRowContext(ctx, db.rebind(query), args...)
}

// list runs a query and scans every row with scan.
func list[T any](ctx context.Context, db *DB, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.read.QueryContext(ctx, db.rebind(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// scanner is a row, or the current one of several.
type scanner interface{ Scan(dest ...any) error }

// tx runs fn in a transaction.
func (db *DB) tx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// micros is how times are stored: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// affected returns notFound if a statement changed nothing.
func affected(res sql.Result, err, notFound error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return notFound
	}
	return err
}
