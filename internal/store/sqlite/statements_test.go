package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// one opens a pool of one connection, and returns what it keeps.
func one(t *testing.T) (*sql.DB, *conn) {
	t.Helper()
	pool, err := open(filepath.Join(t.TempDir(), "x.db"), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	pool.SetMaxOpenConns(1)
	c, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var kept *conn
	c.Raw(func(driver any) error { kept = driver.(*conn); return nil })
	return pool, kept
}

func count(t *testing.T, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, query string, args ...any,
) (n int) {
	t.Helper()
	if err := q.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStatementsAreKept(t *testing.T) {
	pool, c := one(t)
	for n := range 10 {
		if got := count(t, pool, `SELECT ? + 1`, n); got != n+1 {
			t.Errorf("%d + 1 = %d", n, got)
		}
	}
	if len(c.idle) != 1 {
		t.Errorf("%d statements, want the one", len(c.idle))
	}
	for n := range 2 * maxStatements {
		count(t, pool, fmt.Sprintf(`SELECT %d`, n))
	}
	if last := c.idle[len(c.idle)-1].query; len(c.idle) != maxStatements || last != fmt.Sprintf(`SELECT %d`, 2*maxStatements-1) {
		t.Errorf("%d statements, the last is %s", len(c.idle), last)
	}
	if _, err := pool.Exec(`SELECT nothing`); err == nil {
		t.Error("a wrong statement is no error")
	}
}

// TestStatementWithinItself reads with a statement while a result of it is
// read.
func TestStatementWithinItself(t *testing.T) {
	pool, c := one(t)
	tx, err := pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	const three = `WITH RECURSIVE s (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < ?) SELECT n FROM s`
	rows, err := tx.Query(three, 3)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for rows.Next() {
		seen++
		if n := count(t, tx, three, 1); n != 1 {
			t.Errorf("the inner result is %d", n)
		}
	}
	if err := rows.Close(); err != nil || seen != 3 {
		t.Errorf("%d rows, %v", seen, err)
	}
	if len(c.idle) > 2 {
		t.Errorf("%d statements are kept", len(c.idle))
	}
}

// TestKeptStatementsSeeNewTables changes what a statement that is kept reads.
func TestKeptStatementsSeeNewTables(t *testing.T) {
	pool, _ := one(t)
	for _, change := range []string{`CREATE TABLE t (a INT)`, `INSERT INTO t VALUES (1)`} {
		if _, err := pool.Exec(change); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, pool, `SELECT * FROM t`); n != 1 {
		t.Errorf("got %d", n)
	}
	for _, change := range []string{`DROP TABLE t`, `CREATE TABLE t (b TEXT)`, `INSERT INTO t VALUES ('2')`} {
		if _, err := pool.Exec(change); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, pool, `SELECT * FROM t`); n != 2 {
		t.Errorf("got %d", n)
	}
}
