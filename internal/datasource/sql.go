package datasource

import (
	"context"
	"errors"

	"github.com/roomcast/roomcast/internal/datasource/postgres"
	"github.com/roomcast/roomcast/internal/datasource/sqlite"
)

// A database runs SQL. What it does not know of limits, its caller does.
type database interface {
	// Query binds values to the parameters of one statement and hands its rows to
	// add. Without write the database itself refuses every change. changed is how
	// many rows a statement without a result changed, and -1 if there is a
	// result.
	Query(ctx context.Context, sql string, values map[string]any, write bool, add func(columns []string, values []any, bytes int) error) (changed int64, err error)
	// Refusal is what the database says about a statement, "" if an error is
	// about something else.
	Refusal(err error) string
	Close() error
}

// sqlBackend runs queries in a database.
type sqlBackend struct{ db database }

func (b sqlBackend) run(ctx context.Context, q *query, values map[string]any, _ string, add addFunc) (any, error) {
	used := make(map[string]any, len(q.names))
	for _, name := range q.names {
		used[name] = values[name]
	}
	changed, err := b.db.Query(ctx, q.SQL, used, q.Write, add)
	switch {
	case errors.Is(err, postgres.ErrTooLarge), errors.Is(err, sqlite.ErrTooLarge):
		return nil, tooLarge(q.source.MaxBytes)
	case err == nil && changed >= 0:
		return map[string]any{"rowsAffected": changed}, nil
	}
	return nil, err
}

func (b sqlBackend) refusal(err error) string { return b.db.Refusal(err) }

func (b sqlBackend) Close() error { return b.db.Close() }
