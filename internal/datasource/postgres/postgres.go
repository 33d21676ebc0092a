// Package postgres asks a PostgreSQL server for data that is not ours.
//
// Everything goes as text in both directions: the server knows how to read the
// values for the types that a statement needs, and writes decimals with all
// their digits.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	store "github.com/roomcast/roomcast/internal/store/postgres"
)

// Options configure a database.
type Options struct {
	// URL is postgres://user:password@host:port/database, or key=value pairs.
	URL string
	// MaxConns bounds the connections.
	MaxConns int
	// MaxBytes bounds one row.
	MaxBytes int64
	// Timeout is when the server ends a statement by itself.
	Timeout time.Duration
}

// ErrTooLarge is a row beyond MaxBytes.
var ErrTooLarge = errors.New("row is too large")

// A DB is a database. It may be used concurrently.
type DB struct {
	pool    *pgxpool.Pool
	timeout time.Duration
}

// overhead is what a message has besides the values of a row.
const overhead = 64 << 10

// Open returns a database without connecting to it.
func Open(o Options) (*DB, error) {
	if err := store.Check(o.URL); err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("is not postgres://user:password@host:5432/database")
	}
	c.MaxConns, c.MinConns = int32(o.MaxConns), 0
	c.MaxConnIdleTime = time.Minute
	c.ConnConfig.RuntimeParams["application_name"] = "roomcast"
	c.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(int(o.MaxBytes) + overhead)
		return f
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, errors.New("cannot be used")
	}
	return &DB{pool, o.Timeout}, nil
}

// Close closes all connections.
func (db *DB) Close() error {
	db.pool.Close()
	return nil
}

// Query runs one statement in a transaction and hands its rows to add. A
// transaction that may not write is always rolled back, and so is what a
// function did to the session. changed is -1 if the statement has a result.
func (db *DB) Query(ctx context.Context, sql string, values map[string]any, write bool, add func(columns []string, values []any, bytes int) error) (changed int64, err error) {
	sql, params, err := rewrite(ctx, sql, values)
	if err != nil {
		return 0, err
	}
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer pooled.Release()
	conn := pooled.Conn().PgConn()
	if err := db.begin(ctx, conn, write); err != nil {
		return 0, ended(err)
	}
	changed, err = read(ctx, conn, sql, params, add)
	return changed, ended(errors.Join(err, db.end(ctx, conn, write && err == nil)))
}

// rewrite turns @name into $1. Nothing of a value gets into the text.
func rewrite(ctx context.Context, sql string, values map[string]any) (string, [][]byte, error) {
	sql, ordered, err := pgx.StrictNamedArgs(values).RewriteQuery(ctx, nil, sql, nil)
	if err != nil {
		return "", nil, refusal(err.Error())
	}
	params := make([][]byte, len(ordered))
	for i, v := range ordered {
		if params[i], err = encode(v); err != nil {
			return "", nil, refusal(err.Error())
		}
	}
	return sql, params, nil
}

// settings are how values are written and texts are read, until the end of the
// transaction.
const settings = `set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true), set_config('intervalstyle', 'iso_8601', true),
	set_config('bytea_output', 'hex', true), set_config('client_encoding', 'UTF8', true), set_config('standard_conforming_strings', 'on', true)`

// begin opens the transaction. The SELECT is the first query in it, after
// which a transaction that only reads cannot be made one that writes.
func (db *DB) begin(ctx context.Context, conn *pgconn.PgConn, write bool) error {
	mode := "READ ONLY"
	if write {
		mode = "READ WRITE"
	}
	timeout := max(db.timeout.Milliseconds(), 1)
	return conn.Exec(ctx, fmt.Sprintf("BEGIN %s; SELECT set_config('statement_timeout', '%d', true), %s", mode, timeout, settings)).Close()
}

// end ends the transaction and forgets what the statement left in the session,
// such as locks: the next query may be another tenant's.
func (db *DB) end(ctx context.Context, conn *pgconn.PgConn, commit bool) error {
	if conn.IsClosed() {
		return nil
	}
	if commit {
		if err := conn.Exec(ctx, "COMMIT").Close(); err != nil {
			conn.Close(ctx)
			return err
		}
	}
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for _, statement := range []string{"ROLLBACK", "DISCARD ALL"} { // after COMMIT the first does nothing
		if conn.Exec(cleaning, statement).Close() != nil {
			conn.Close(cleaning) // the pool replaces it
			break
		}
	}
	return nil
}

// read runs a statement. The protocol takes no more than one.
func read(ctx context.Context, conn *pgconn.PgConn, sql string, params [][]byte, add func([]string, []any, int) error) (int64, error) {
	result := conn.ExecParams(ctx, sql, params, nil, nil, nil)
	columns, oids := describe(result.FieldDescriptions())
	var err error
	for err == nil && result.NextRow() {
		bytes := 0
		row := make([]any, len(columns))
		for i, raw := range result.Values() {
			bytes += len(raw)
			row[i] = decode(oids[i], raw)
		}
		err = add(columns, row, bytes)
	}
	if err != nil {
		conn.Close(ctx) // there may be any number of rows to come
		return 0, err
	}
	tag, err := result.Close()
	if len(columns) > 0 {
		return -1, err
	}
	return tag.RowsAffected(), err
}

func describe(fields []pgconn.FieldDescription) (columns []string, oids []uint32) {
	for _, f := range fields {
		columns, oids = append(columns, f.Name), append(oids, f.DataTypeOID)
	}
	return columns, oids
}

// queryCanceled is the code of a statement that took too long.
const queryCanceled = "57014"

// ended tells time and size from other errors.
func ended(err error) error {
	var server *pgconn.PgError
	switch {
	case errors.As(err, new(*pgproto3.ExceededMaxBodyLenErr)):
		return ErrTooLarge
	case errors.As(err, &server) && server.Code == queryCanceled:
		return context.DeadlineExceeded
	}
	return err
}

// refusal is an error about a statement that did not get to the server.
type refusal string

func (r refusal) Error() string { return string(r) }

// Refusal is what the server says about a statement, "" if an error is about
// the connection.
func (db *DB) Refusal(err error) string {
	var own refusal
	if errors.As(err, &own) {
		return string(own)
	}
	var connecting *pgconn.ConnectError
	var server *pgconn.PgError
	if errors.As(err, &connecting) || !errors.As(err, &server) {
		return ""
	}
	return fmt.Sprintf("%s (SQLSTATE %s)", server.Message, server.Code)
}
