package app

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// DatabaseFile is the name of the SQLite database in the data folder.
const DatabaseFile = "roomcast.db"

// openStore opens the database that the configuration names.
func openStore(ctx context.Context, c config.Config) (*store.DB, error) {
	if err := CheckStore(c.Store); err != nil {
		return nil, err
	}
	if c.Store.Driver == config.SQLite {
		return sqlite.Open(ctx, filepath.Join(c.Server.Data, DatabaseFile), sqlite.WithSynchronous(sqlite.Synchronous(c.Store.Synchronous)))
	}
	db, err := postgres.Open(ctx, postgres.Options{
		URL: string(c.Store.URL), MaxConns: c.Store.MaxConns, MaxIdle: c.Store.MaxIdle, MaxLifetime: c.Store.MaxLifetime,
		ConnectTimeout: c.Store.ConnectTimeout, Timeout: c.Store.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return db, nil
}

// CheckStore reports what is wrong with the driver and URL of a configuration.
func CheckStore(c config.Store) error {
	switch c.Driver {
	case config.SQLite:
	case config.Postgres:
		if err := postgres.Check(string(c.URL)); err != nil {
			return fmt.Errorf("store.url: %w", err)
		}
	default:
		return fmt.Errorf("store.driver: %q is not one of %s, %s", c.Driver, config.SQLite, config.Postgres)
	}
	return nil
}
