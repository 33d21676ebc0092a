package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/datasource/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

func discard([]string, []any, int) error { return nil }

func open(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(postgres.Options{URL: url, MaxConns: 1, MaxBytes: 1 << 20, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// The database refuses by itself, whatever its caller lets through.
func TestRefusesByItself(t *testing.T) {
	url := postgrestest.URL(t)
	db := open(t, url)
	if _, err := db.Query(t.Context(), "CREATE TABLE t (a int)", nil, true, discard); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"INSERT INTO t VALUES (1)", "DROP TABLE t", "SELECT 1; INSERT INTO t VALUES (1)", "COMMIT; INSERT INTO t VALUES (1)", "SET TRANSACTION READ WRITE",
		"DO $$ BEGIN INSERT INTO t VALUES (1); END $$", "COPY t FROM STDIN",
	} {
		if _, err := db.Query(t.Context(), text, nil, false, discard); err == nil || db.Refusal(err) == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
	// These are no error, and leave nothing.
	for _, text := range []string{"COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET search_path = pg_catalog", "PREPARE p AS INSERT INTO t VALUES (1)", "LISTEN x"} {
		if _, err := db.Query(t.Context(), text, nil, false, discard); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := db.Query(t.Context(), "INSERT INTO t VALUES (1)", nil, false, discard); err == nil {
			t.Errorf("after %s something was written", text)
		}
	}
	var rows [][]any
	keep := func(_ []string, values []any, _ int) error {
		rows = append(rows, values)
		return nil
	}
	if _, err := db.Query(t.Context(), "SELECT COUNT(*), (SELECT COUNT(*) FROM pg_prepared_statements) FROM t", nil, false, keep); err != nil || len(rows) != 1 || rows[0][0] != int64(0) || rows[0][1] != int64(0) {
		t.Errorf("rows and prepared statements: %v %v", rows, err)
	}
}

// What fails in a statement that may write is undone.
func TestFailedWriteIsUndone(t *testing.T) {
	db := open(t, postgrestest.URL(t))
	if _, err := db.Query(t.Context(), "CREATE TABLE t (a int CHECK (a > 0))", nil, true, discard); err != nil {
		t.Fatal(err)
	}
	if n, err := db.Query(t.Context(), "INSERT INTO t SELECT g FROM generate_series(1, 3) g", nil, true, discard); n != 3 || err != nil {
		t.Fatalf("%d rows: %v", n, err)
	}
	_, err := db.Query(t.Context(), "INSERT INTO t SELECT g FROM generate_series(3, 0, -1) g", nil, true, discard)
	if err == nil || !strings.Contains(db.Refusal(err), "check constraint") {
		t.Error(err)
	}
	full := func([]string, []any, int) error { return postgres.ErrTooLarge }
	if _, err := db.Query(t.Context(), "INSERT INTO t VALUES (9) RETURNING a", nil, true, full); err == nil {
		t.Error("rows that were not taken are no error")
	}
	var n any
	keep := func(_ []string, values []any, _ int) error {
		n = values[0]
		return nil
	}
	if _, err := db.Query(t.Context(), "SELECT COUNT(*) FROM t", nil, false, keep); err != nil || n != int64(3) {
		t.Errorf("%v rows are left: %v", n, err)
	}
}

func TestBadURL(t *testing.T) {
	if _, err := postgres.Open(postgres.Options{URL: "postgres://u:hidden@h:port/d"}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Error(err)
	}
}
