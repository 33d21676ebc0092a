// Package store keeps what must outlive the process, in a SQL database. The
// statements are the same for every database; packages below this one open
// them. The interfaces that it implements are those of the services, and
// storetest holds the suite that every database must pass.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pressly/goose/v3"

	"github.com/roomcast/roomcast/events"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A DB is an open database. Its methods may be called concurrently.
type DB struct {
	// read may be a pool of its own where writers and readers do not mix.
	write, read *sql.DB
	dialect     Dialect
	closers     []func() error
	plans       *plans
}

// A Dialect is what differs between databases.
type Dialect struct {
	Migrations goose.Dialect
	// Rebind turns ? placeholders into those of the database; nil leaves them.
	Rebind func(query string) string
	// Lock makes other transactions, of other processes too, that lock the same
	// name wait for the end of tx. nil is for databases in which there is never
	// more than one transaction that writes.
	Lock func(ctx context.Context, tx *sql.Tx, name string) error
	// Now is an expression for the time by the database's clock, in
	// microseconds since 1970. It goes on within a transaction.
	Now string
	// Timeout bounds every operation; 0 is no bound.
	Timeout time.Duration
}

// Open takes over two pools, which may be the same, and brings the schema up
// to date.
func Open(ctx context.Context, dialect Dialect, write, read *sql.DB) (*DB, error) {
	if dialect.Rebind == nil {
		dialect.Rebind = func(query string) string { return query }
	}
	if dialect.Lock == nil {
		dialect.Lock = func(context.Context, *sql.Tx, string) error { return nil }
	}
	db := &DB{write: write, read: read, dialect: dialect, closers: []func() error{write.Close}, plans: newPlans()}
	if read != write {
		db.closers = append(db.closers, read.Close)
	}
	if err := db.migrate(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// migrate brings the schema up to date. Of several instances that start at
// once the others wait for the first.
func (db *DB) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(db.dialect.Migrations, db.write, files, goose.WithGoMigrations(db.nameRequests()))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	up := func() error {
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("migrating the database: %w", err)
		}
		return nil
	}
	if db.write.Stats().MaxOpenConnections == 1 {
		return up() // a transaction that holds a lock would leave no connection for it
	}
	lock, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer lock.Rollback()
	if err := db.dialect.Lock(ctx, lock, "migrations"); err != nil {
		return fmt.Errorf("waiting for others who migrate the database: %w", err)
	}
	return up()
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

// bound limits the time of an operation.
func (db *DB) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if db.dialect.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, db.dialect.Timeout)
}

func (db *DB) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	ctx, cancel := db.bound(ctx)
	defer cancel()
	res, err := db.write.ExecContext(ctx, db.dialect.Rebind(query), args...)
	return res, failure(err)
}

// row reads one row.
func (db *DB) row(ctx context.Context, query string, args ...any) scanner {
	return db.rowOf(ctx, db.read, query, args)
}

func (db *DB) rowOf(ctx context.Context, pool *sql.DB, query string, args []any) scanner {
	if err := storable(args); err != nil {
		return scanFunc(func(...any) error { return err })
	}
	return scanFunc(func(dest ...any) error {
		ctx, cancel := db.bound(ctx)
		defer cancel()
		return failure(pool.QueryRowContext(ctx, db.dialect.Rebind(query), args...).Scan(dest...))
	})
}

// list runs a query and scans every row with scan.
func list[T any](ctx context.Context, db *DB, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	return listOf(ctx, db, db.read, scan, query, args...)
}

func listOf[T any](ctx context.Context, db *DB, pool *sql.DB, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	return listWhile(ctx, db, pool, func() bool { return true }, scan, query, args...)
}

// listWhile is listOf as long as more is wanted.
func listWhile[T any](ctx context.Context, db *DB, pool *sql.DB, more func() bool, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	ctx, cancel := db.bound(ctx)
	defer cancel()
	rows, err := pool.QueryContext(ctx, db.dialect.Rebind(query), args...)
	if err != nil {
		return nil, failure(err)
	}
	return scanAll(rows, more, scan)
}

// scanAll scans every row of a result, as long as more is wanted.
func scanAll[T any](rows *sql.Rows, more func() bool, scan func(scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for more() && rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, failure(err)
		}
		all = append(all, v)
	}
	return all, failure(rows.Err())
}

// scanner is a row, or the current one of several.
type scanner interface{ Scan(dest ...any) error }

type scanFunc func(dest ...any) error

func (f scanFunc) Scan(dest ...any) error { return f(dest...) }

// A transaction is several statements of which all happen, or none.
type transaction struct {
	ctx context.Context
	db  *DB
	tx  *sql.Tx
}

// tx runs fn in a transaction.
func (db *DB) tx(ctx context.Context, fn func(tx transaction) error) error {
	ctx, cancel := db.bound(ctx)
	defer cancel()
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return failure(err)
	}
	defer tx.Rollback()
	if err := fn(transaction{ctx, db, tx}); err != nil {
		return err
	}
	return failure(tx.Commit())
}

func (t transaction) exec(query string, args ...any) (sql.Result, error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	res, err := t.tx.ExecContext(t.ctx, t.db.dialect.Rebind(query), args...)
	return res, failure(err)
}

func (t transaction) row(query string, args ...any) scanner {
	if err := storable(args); err != nil {
		return scanFunc(func(...any) error { return err })
	}
	return scanFunc(func(dest ...any) error {
		return failure(t.tx.QueryRowContext(t.ctx, t.db.dialect.Rebind(query), args...).Scan(dest...))
	})
}

// listIn is list in a transaction, for statements that write and return rows.
func listIn[T any](t transaction, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	rows, err := t.tx.QueryContext(t.ctx, t.db.dialect.Rebind(query), args...)
	if err != nil {
		return nil, failure(err)
	}
	return scanAll(rows, func() bool { return true }, scan)
}

// lock makes others that lock the same name wait for the end of the
// transaction, wherever they are. What is read after it is as they left it.
func (t transaction) lock(name string) error {
	return failure(t.db.dialect.Lock(t.ctx, t.tx, name))
}

// failure says where an error comes from.
func failure(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return fmt.Errorf("database: %w", err)
}

// storable refuses texts that not every database takes.
func storable(args []any) error {
	for _, a := range args {
		text, ok := a.(string)
		switch {
		case !ok:
		case strings.IndexByte(text, 0) >= 0:
			return events.Errorf(events.CodeValidation, "texts with the character U+0000 cannot be stored")
		case !utf8.ValidString(text):
			return events.Errorf(events.CodeValidation, "texts that are not UTF-8 cannot be stored")
		}
	}
	return nil
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

// changed reports whether a statement changed anything.
func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
