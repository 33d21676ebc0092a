package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

func TestContract(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder with spaces?&#", "roomcast.db")
	storetest.Run(t, open(t, path))
	if err := open(t, path).Ping(t.Context()); err != nil { // the schema is there already
		t.Error(err)
	}
}

func open(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// `roomcast keys` and a server use the same file.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	storetest.Shared(t, open(t, path), open(t, path))
}

func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, err := old.Exec(storetest.First(t, "sqlite")); err != nil {
		t.Fatal(err)
	}
	storetest.Upgraded(t, open(t, path))
}

func TestSynchronous(t *testing.T) {
	for _, how := range []sqlite.Synchronous{sqlite.Normal, sqlite.Full} {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "r.db"), sqlite.WithSynchronous(how))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "r.db"), sqlite.WithSynchronous("off")); err == nil {
		t.Error("a database was opened that loses what it is given")
	}
}

func TestUnusablePath(t *testing.T) {
	if _, err := sqlite.Open(t.Context(), "/dev/null/roomcast.db"); err == nil {
		t.Error("a database was opened below a file")
	}
}

func BenchmarkWrite(b *testing.B) {
	storetest.BenchmarkWrite(b, open(b, filepath.Join(b.TempDir(), "r.db")))
}

// The latest message of a conversation is found without reading those before.
func TestLastMessageOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = other.Exec(`INSERT INTO chat_messages (room_id, seq, speaker, user_id, text, action, at)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT 'r', i, 'bot', '', '', '', 0 FROM n`)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	began := time.Now()
	if err := other.QueryRow(`SELECT COUNT(seq) FROM chat_messages WHERE room_id = 'r'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	all, best := time.Since(began), time.Hour
	for range 10 {
		began := time.Now()
		last, err := db.Chats().LastMessages(t.Context(), []string{"r", "none"})
		if best = min(best, time.Since(began)); err != nil || len(last) != 1 || last["r"] != 20_000 {
			t.Fatalf("%v, %v", last, err)
		}
	}
	if best > all/4 {
		t.Errorf("it took %v, and to read all %v", best, all)
	}
}
