package journal_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/enginetest"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

func TestContractOnSQLite(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "w.db"))
	contract(t, db, err)
}

func TestContractOnPostgres(t *testing.T) {
	db, err := postgres.Open(t.Context(), postgres.Options{URL: postgrestest.URL(t)})
	contract(t, db, err)
}

// contract runs the suite on a database: those who use it come one after the
// other.
func contract(t *testing.T, db *store.DB, err error) {
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	t.Cleanup(func() { db.Close() })
	const parallel = 8
	enginetest.Test(t, enginetest.Options{
		Store:    func(*testing.T) workflow.Store { return db.Workflows() },
		Parallel: parallel,
		Open: func(t *testing.T, s enginetest.Setup) enginetest.Subject {
			e := journal.New(journal.Options{
				Store: s.Store, Feed: s.Feed, Types: s.Types, Logger: s.Logger, Limits: s.Limits,
				Parallel: parallel, ParallelPerTenant: parallel,
			})
			if err := e.Resume(t.Context()); err != nil {
				t.Logf("resuming: %v", err) // it may have been killed meanwhile
			}
			return enginetest.Subject{
				Engine: e,
				Kill: func() {
					e.Lost()
					end(e) // all that it does now is refused
				},
				Close: func() {
					if err := end(e); err != nil {
						t.Errorf("closing: %v", err)
					}
				},
				Repeated: func() uint64 { return uint64(e.Counts().Repeated) },
			}
		},
	})
}

func end(e *journal.Engine) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return e.Close(ctx)
}
