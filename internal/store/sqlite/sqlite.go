// Package sqlite opens the embedded database: one file, no server.
//
// One connection writes and a few read, which is what SQLite does best. The
// journal is a write-ahead log: what was committed survives the end of the
// process however it comes. [Synchronous] says what survives a loss of power.
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // the driver

	"github.com/roomcast/roomcast/internal/store"
)

// readers is how many queries run at once.
const readers = 4

// checkpoint is after how many pages of 4 KB the write-ahead log is brought into
// the database: whoever commits then waits for the disk, so it should not be
// often, and pages that many transactions have changed are written once.
const checkpoint = "8000"

// Transactions that write begin as such, so one waits for the other.
var dialect = store.Dialect{
	Migrations: goose.DialectSQLite3,
	Now:        `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`,
}

// Synchronous says when what was written is waited for to be on the disk.
type Synchronous string

// What Synchronous may be.
const (
	Normal Synchronous = "normal" // at checkpoints: a loss of power may cost the last commits, and harms nothing else
	Full   Synchronous = "full"   // at every commit, which takes as long as the disk needs
)

// An Option changes how a database is opened.
type Option func(*options)

type options struct{ synchronous Synchronous }

// WithSynchronous sets what survives a loss of power. Default [Normal].
func WithSynchronous(s Synchronous) Option { return func(o *options) { o.synchronous = s } }

// Open opens the database in a file, which is made with its folder if it does
// not exist.
func Open(ctx context.Context, path string, opts ...Option) (*store.DB, error) {
	o := options{synchronous: Normal}
	for _, set := range opts {
		set(&o)
	}
	if o.synchronous != Normal && o.synchronous != Full {
		return nil, fmt.Errorf("opening %s: synchronous %q is not one of %s, %s", path, o.synchronous, Normal, Full)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	write, err := open(path, "_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=wal_autocheckpoint("+checkpoint+")&_pragma=synchronous("+string(o.synchronous)+")")
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if err := write.PingContext(ctx); err != nil { // makes the file, so that readers find it
		write.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	read, err := open(path, "_pragma=query_only(1)")
	if err != nil {
		write.Close()
		return nil, err
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	db, err := store.Open(ctx, dialect, write, read)
	if err != nil {
		return nil, err
	}
	if err := warm(ctx, read); err != nil {
		db.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return db, nil
}

// warm opens all connections of a pool and what files they need, so that the
// first queries do not wait for it, and a server at rest has as many files
// open as one that has been busy.
func warm(ctx context.Context, pool *sql.DB) error {
	for range readers {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, `SELECT COUNT(*) FROM instances`); err != nil {
			return err
		}
	}
	return nil
}

func open(path, options string) (*sql.DB, error) {
	c, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)&" + options)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return sql.OpenDB(connector{c}), nil
}
