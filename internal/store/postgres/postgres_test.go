package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestContract(t *testing.T) {
	url := postgrestest.URL(t)
	storetest.Run(t, open(t, url))
	if err := open(t, url).Ping(t.Context()); err != nil { // the schema is there already
		t.Error(err)
	}
}

// Instances that start at once migrate once.
func TestStartingTogether(t *testing.T) {
	url := postgrestest.URL(t)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestShared(t *testing.T) {
	url := postgrestest.URL(t)
	storetest.Shared(t, open(t, url), open(t, url))
}

func TestUpgrade(t *testing.T) {
	url := postgrestest.URL(t)
	old, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.Exec(storetest.First(t, "postgres"))
	old.Close() // the dump leaves its mark on the connection
	if err != nil {
		t.Fatal(err)
	}
	storetest.Upgraded(t, open(t, url))
}

// While the server is away operations fail soon and say so; when it is back
// they work again, on new connections.
func TestServerGoesAway(t *testing.T) {
	server := postgrestest.New(t)
	db := open(t, server.URL(t))
	keys := db.Identity()
	if _, err := keys.AnyKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.AnyKey(t.Context()); err == nil || !strings.Contains(err.Error(), "database: ") {
		t.Errorf("without a server: %v", err)
	}
	if err := db.Ping(t.Context()); err == nil {
		t.Error("it answers without a server")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.AnyKey(t.Context()); err != nil {
		t.Errorf("after its return: %v", err)
	}
}

// A server that does not answer holds nobody longer than the limit.
func TestServerHangs(t *testing.T) {
	url := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`LOCK TABLE api_keys`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Identity().AnyKey(context.Background()); err == nil {
		t.Error("it waited for a lock without a limit")
	}
	tx.Rollback()
	if _, err := db.Identity().AnyKey(t.Context()); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

func TestBadURLs(t *testing.T) {
	for url, want := range map[string]string{
		"":                                     "is missing",
		"postgres://u:hidden@h:port/d":         "is not postgres://user:password@host:5432/database",
		"postgres://u:hidden@127.0.0.1:1/d":    "connecting to the database d at 127.0.0.1:1: ",
		"postgres://u:hidden@nowhere.invalid/": "nowhere.invalid",
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) { storetest.BenchmarkWrite(b, open(b, postgrestest.URL(b))) }
