package postgres_test

import (
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

func open(t *testing.T, url string) *store.DB {
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
	for range 2 { // the second time the schema is there
		storetest.Run(t, open(t, url))
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
