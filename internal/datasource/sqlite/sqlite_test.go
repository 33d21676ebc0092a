package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/datasource/sqlite"
)

func discard([]string, []any, int) error { return nil }

// The database refuses by itself, whatever its caller lets through: what
// reads cannot write, and what writes rows can do nothing else.
func TestRefusesByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(`CREATE TABLE t (a); INSERT INTO t VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(sqlite.Options{Path: path, MaxConns: 1, MaxBytes: 1 << 20, Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	never := filepath.Join(t.TempDir(), "never")
	schema := []string{
		"DROP TABLE t", "CREATE TABLE u (a)", "CREATE TEMP TABLE u (a)", "ATTACH '" + never + "' AS other", "VACUUM INTO '" + never + "'",
		"PRAGMA query_only = 0", "PRAGMA journal_mode = off", "SELECT load_extension('x')", "SELECT 1; DROP TABLE t", "ALTER TABLE t ADD b",
	}
	for _, text := range append(schema, "DELETE FROM t", "INSERT INTO t VALUES (2)", "UPDATE t SET a = 2", "SELECT 1; DELETE FROM t", "WITH x AS (SELECT 1) DELETE FROM t") {
		if _, err := db.Query(t.Context(), text, nil, false, discard); err == nil || db.Refusal(err) == "" {
			t.Errorf("reading, %s: %v", text, err)
		}
	}
	for _, text := range schema {
		if _, err := db.Query(t.Context(), text, nil, true, discard); err == nil || db.Refusal(err) == "" {
			t.Errorf("writing, %s: %v", text, err)
		}
	}
	var n int
	if err := raw.QueryRow(`SELECT SUM(a) FROM t`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d is left: %v", n, err)
	}
	if _, err := os.Stat(never); err == nil {
		t.Error("another file was made")
	}
	if n, err := db.Query(t.Context(), "UPDATE t SET a = @a", map[string]any{"a": 7}, true, discard); n != 1 || err != nil {
		t.Errorf("%d rows changed: %v", n, err)
	}
}

// A file that is not there is not made.
func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hidden.db")
	db, err := sqlite.Open(sqlite.Options{Path: path, MaxConns: 1, Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, write := range []bool{false, true} {
		if _, err := db.Query(t.Context(), "SELECT 1", nil, write, discard); err == nil || strings.Contains(db.Refusal(err), "hidden") {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made")
	}
}
