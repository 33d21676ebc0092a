// Package sqlite asks a SQLite file for data that is not ours.
//
// What may only read is kept from writing three times: the file is opened for
// reading, the connection refuses changes, and an authorizer lets nothing into
// a statement but what reads.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Options configure a database.
type Options struct {
	// Path is that of the file, which must exist when it is asked.
	Path string
	// MaxConns bounds the connections.
	MaxConns int
	// MaxBytes bounds a row.
	MaxBytes int64
	// Write opens the file a second time, for statements that may write.
	Write bool
}

// ErrTooLarge is a value or row beyond MaxBytes.
var ErrTooLarge = errors.New("row is too large")

// A DB is a database. It may be used concurrently.
type DB struct {
	read, write *sql.DB
	maxLength   int // of a value or row, also in between
}

// minLength is below what statements need for themselves.
const minLength = 1 << 20

// Open returns a database without opening the file.
func Open(o Options) (*DB, error) {
	db := &DB{
		read:      pool(connector{o.Path, "mode=ro&_pragma=query_only(1)", onlyReads}, o.MaxConns),
		maxLength: int(max(o.MaxBytes, minLength)),
	}
	if o.Write {
		db.write = pool(connector{o.Path, "mode=rw&_txlock=immediate&_pragma=foreign_keys(1)", onlyRows}, 1)
	}
	return db, nil
}

func pool(c connector, conns int) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	return db
}

// Close closes all connections.
func (db *DB) Close() error {
	if db.write != nil {
		return errors.Join(db.read.Close(), db.write.Close())
	}
	return db.read.Close()
}

// A connector makes connections that may do what authorize allows.
type connector struct {
	path, options string
	authorize     sqlite.AuthorizerFn
}

// Connect implements [driver.Connector].
func (c connector) Connect(context.Context) (driver.Conn, error) {
	if _, err := os.Stat(c.path); err != nil {
		return nil, err // the driver's own error has the path
	}
	conn, err := (&sqlite.Driver{}).Open("file:" + (&url.URL{Path: c.path}).EscapedPath() + "?_pragma=busy_timeout(5000)&_defensive=1&_dqs=0&" + c.options)
	if err != nil {
		return nil, err
	}
	return conn, conn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(c.authorize)
}

// Driver implements [driver.Connector].
func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

// onlyReads authorizes what a query needs.
func onlyReads(action sqlite.AuthorizerActionCode, _, function, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive, sqlite.AuthTransaction:
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		if function != "load_extension" {
			return sqlite.AuthorizerOK
		}
	}
	return sqlite.AuthorizerDeny
}

// onlyRows also authorizes changes to rows. Other files, the schema and the
// connection stay as they are.
func onlyRows(action sqlite.AuthorizerActionCode, a, b, c, d string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete:
		return sqlite.AuthorizerOK
	}
	return onlyReads(action, a, b, c, d)
}

// Query runs one statement and hands its rows to add. changed is -1 if the
// statement has a result.
func (db *DB) Query(ctx context.Context, text string, values map[string]any, write bool, add func(columns []string, values []any, bytes int) error) (changed int64, err error) {
	pool := db.read
	if write {
		pool = db.write
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := sqlite.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, db.maxLength); err != nil {
		return 0, err
	}
	stop, err := watch(ctx, conn)
	if err != nil {
		return 0, err
	}
	defer stop()
	if !write {
		return query(ctx, conn, text, values, add)
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if changed, err = query(ctx, tx, text, values, add); err != nil {
		return 0, err
	}
	return changed, tx.Commit()
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func query(ctx context.Context, q querier, text string, values map[string]any, add func([]string, []any, int) error) (int64, error) {
	args, err := bind(values)
	if err != nil {
		return 0, err
	}
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return 0, large(err)
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return 0, err
	}
	if len(columns) == 0 {
		rows.Close()
		var changed int64
		err := q.QueryRowContext(ctx, `SELECT changes()`).Scan(&changed)
		return changed, err
	}
	return -1, errors.Join(read(rows, columns, add), ctx.Err())
}

func read(rows *sql.Rows, columns []*sql.ColumnType, add func([]string, []any, int) error) error {
	names := make([]string, len(columns))
	cells := make([]cell, len(columns))
	dest := make([]any, len(columns))
	for i, c := range columns {
		names[i], cells[i].declared, dest[i] = c.Name(), c.DatabaseTypeName(), &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		bytes := 0
		values := make([]any, len(cells))
		for i, c := range cells {
			values[i] = c.value
			bytes += c.bytes
		}
		if err := add(names, values, bytes); err != nil {
			return err
		}
	}
	return large(rows.Err())
}

// large tells size from other errors.
func large(err error) error {
	var own *sqlite.Error
	if errors.As(err, &own) && own.Code()&0xff == sqlite3.SQLITE_TOOBIG {
		return ErrTooLarge
	}
	return err
}

// bind turns values into what the driver binds by name. Lists and JSON are
// text, as SQLite's JSON functions take them.
func bind(values map[string]any) ([]any, error) {
	args := make([]any, 0, len(values))
	for name, v := range values {
		switch n := v.(type) {
		case json.Number:
			v = numeric(string(n))
		case json.RawMessage:
			v = string(n)
		case []any:
			raw, err := json.Marshal(n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			v = string(raw)
		}
		args = append(args, sql.Named(name, v))
	}
	return args, nil
}

// numeric is what SQLite has of a number: 64 bits, whole or not.
func numeric(n string) any {
	if i, err := strconv.ParseInt(n, 10, 64); err == nil {
		return i
	}
	f, _ := strconv.ParseFloat(n, 64)
	return f
}

// Refusal is what SQLite says about a statement, "" if an error is about the
// file.
func (db *DB) Refusal(err error) string {
	var own *sqlite.Error
	if !errors.As(err, &own) {
		return ""
	}
	switch own.Code() & 0xff {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PERM:
		return ""
	case sqlite3.SQLITE_AUTH:
		return "the statement may not do that: " + own.Error()
	}
	return own.Error()
}
