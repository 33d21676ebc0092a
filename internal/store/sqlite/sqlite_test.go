package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

func TestContract(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder with spaces?&#", "roomcast.db")
	for range 2 { // the second time the schema is there
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		storetest.Run(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnusablePath(t *testing.T) {
	if _, err := sqlite.Open(t.Context(), "/dev/null/roomcast.db"); err == nil {
		t.Error("a database was opened below a file")
	}
}
