// Package postgres opens a database on a PostgreSQL server, which several
// instances may share.
//
// Connections are made when they are needed and replaced when they break:
// while the server is away operations fail, and when it is back they work
// again.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/roomcast/roomcast/internal/store"
)

// Options configure a database.
type Options struct {
	// URL is postgres://user:password@host:port/database?sslmode=require, or
	// key=value pairs as libpq knows them.
	URL string
	// MaxConns bounds the connections. Default 16, at least 2.
	MaxConns int
	// MaxIdle bounds the connections that are kept unused. Default MaxConns.
	MaxIdle int
	// MaxLifetime is how old a connection gets, so that it follows the server
	// when that moves. Default one hour.
	MaxLifetime time.Duration
	// ConnectTimeout bounds making one connection. Default 5 s.
	ConnectTimeout time.Duration
	// Timeout bounds every operation. Default 10 s.
	Timeout time.Duration
}

func (o *Options) setDefaults() {
	if o.MaxConns <= 0 {
		o.MaxConns = 16
	}
	o.MaxConns = max(o.MaxConns, 2) // migrating takes two
	if o.MaxIdle <= 0 {
		o.MaxIdle = o.MaxConns
	}
	if o.MaxLifetime <= 0 {
		o.MaxLifetime = time.Hour
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 5 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
}

// Check reports what is wrong with a URL, without its password.
func Check(url string) error {
	_, err := parse(url)
	return err
}

// Open connects to a database and brings its schema up to date.
func Open(ctx context.Context, o Options) (*store.DB, error) {
	o.setDefaults()
	c, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	c.ConnectTimeout = o.ConnectTimeout
	// Commits are in the log of the server before they are acknowledged, and
	// every statement sees what was committed before it began.
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	c.RuntimeParams["application_name"] = "roomcast"
	// A server that stands still in the middle of a transaction holds locks that
	// those who take over from it wait for. No transaction waits for anything else.
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "5s"
	pool := stdlib.OpenDB(*c)
	pool.SetMaxOpenConns(o.MaxConns)
	pool.SetMaxIdleConns(o.MaxIdle)
	pool.SetConnMaxLifetime(o.MaxLifetime)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting to the database %s at %s: %w", c.Database, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), reason(err))
	}
	return store.Open(ctx, store.Dialect{
		Migrations: goose.DialectPostgres,
		Rebind:     rebind,
		Lock:       lock,
		Now:        `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`,
		Timeout:    o.Timeout,
	}, pool, pool)
}

func parse(url string) (*pgx.ConnConfig, error) {
	if url == "" {
		return nil, errors.New("is missing: it is postgres://user:password@host:5432/database")
	}
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("is not postgres://user:password@host:5432/database: %w", reason(err))
	}
	return c, nil
}

// reason is the last of a chain of errors, which has what the ones before it
// repeat, and no part of the URL.
func reason(err error) error {
	for {
		var inner error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[0]
			}
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// rebind turns ? into $1, $2 and so on. No statement has a ? in a text.
func rebind(query string) string {
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}

// lockSpace keeps our locks apart from those of other programs in the same
// database.
const lockSpace = "roomcast:"

// lock takes an advisory lock until the end of a transaction.
func lock(ctx context.Context, tx *sql.Tx, name string) error {
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, lockSpace+name)
	return err
}
