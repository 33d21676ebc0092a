package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/datasource"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// A Local runs workflows in this process, without a server: nobody can follow
// its runs but through it. Its database is in the data folder of the
// configuration.
type Local struct {
	Workflows *workflow.Service
	Feed      *workflow.Feed

	engine *journal.Engine
	data   *datasource.Sources
	models *models
	db     *store.DB
	lock   *os.File
}

// quiet publishes to nobody.
type quiet struct{}

func (quiet) Publish(events.Room, cluster.Position, events.Payload) error { return nil }

// NewLocal opens the database and builds what runs workflows, with the limits
// data sources and models of a configuration. [Local.Close] must follow.
func NewLocal(ctx context.Context, c config.Config, logs io.Writer) (*Local, error) {
	l := &Local{}
	log := slog.New(logHandler(logs, c.Log))
	if err := l.open(ctx, c, log); err != nil {
		l.release()
		return nil, err
	}
	w := c.Workflow
	types := nodeTypes(w, l.data, completions{Provider: l.models})
	l.Feed = workflow.NewFeed(quiet{}, log)
	l.engine = journal.New(journal.Options{
		Store: l.db.Workflows(), Feed: l.Feed, Types: types, Logger: log,
		Parallel: w.Parallel, ParallelPerTenant: w.ParallelPerTenant, RunsPerTenant: w.RunsPerTenant,
		Limits: limits(w),
	})
	l.Workflows = workflow.NewService(workflow.ServiceOptions{
		Store: l.db.Workflows(), Engine: l.engine, Feed: l.Feed, Types: types, MaxDuration: w.MaxDuration,
	})
	return l, nil
}

func (l *Local) open(ctx context.Context, c config.Config, log *slog.Logger) (err error) {
	if l.lock, err = lockData(c.Server.Data); err != nil {
		return err
	}
	if l.db, err = sqlite.Open(ctx, filepath.Join(c.Server.Data, DatabaseFile)); err != nil {
		return err
	}
	if l.data, err = newDataSources(c.DataSources, log); err != nil {
		return err
	}
	l.models, err = newModels(c.Chat.Models, log)
	return err
}

// localGrace is how long nodes may take to end when a [Local] is closed.
const localGrace = 5 * time.Second

// Close ends what runs and closes the database.
func (l *Local) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), localGrace)
	defer cancel()
	defer l.release()
	if err := l.engine.Close(ctx); err != nil {
		return fmt.Errorf("ending runs: %w", err)
	}
	return nil
}

func (l *Local) release() {
	if l.data != nil {
		l.data.Close()
	}
	if l.models != nil {
		l.models.Close()
	}
	if l.db != nil {
		l.db.Close()
	}
	if l.lock != nil {
		l.lock.Close()
	}
}

// Definitions returns what checks definitions by a configuration; it keeps and
// runs nothing. Its data sources are closed with done.
func Definitions(c config.Config) (checks *workflow.Service, done func(), err error) {
	data, err := newDataSources(c.DataSources, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	m, err := newModels(c.Chat.Models, slog.New(slog.DiscardHandler))
	if err != nil {
		data.Close()
		return nil, nil, err
	}
	return workflow.NewService(workflow.ServiceOptions{Types: nodeTypes(c.Workflow, data, completions{Provider: m}), MaxDuration: c.Workflow.MaxDuration}), func() { data.Close() }, nil
}
