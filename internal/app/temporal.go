package app

import (
	"context"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/telemetry"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
	"github.com/roomcast/roomcast/internal/workflow/temporal"
)

// A clusterEngine carries runs on in a cluster of their own, which may be away.
type clusterEngine interface {
	workflow.Engine
	Run(ctx context.Context)
	Close(ctx context.Context) error
	Status() temporal.Status
	Counts() temporal.Counts
}

// newTemporal builds the engine on Temporal, if it is to be used.
func (a *App) newTemporal(types nodes.Types, epoch string) (err error) {
	if a.opts.Config.Workflow.Engine == config.EngineTemporal {
		a.temporal, err = a.openTemporal(types, taskQueue(a.opts.Config.Workflow.Temporal.TaskQueue, epoch))
	}
	return err
}

// taskQueue is where the runs of one database wait: a server with another, which
// would not find them, never takes one.
func taskQueue(name, epoch string) string { return name + "-" + epoch[:min(8, len(epoch))] }

// engines returns what carries on new runs, and what those that have begun
// otherwise.
func (a *App) engines() (forNew workflow.Engine, others []workflow.Engine) {
	if a.temporal != nil {
		return a.temporal, []workflow.Engine{a.journal, a.external}
	}
	return a.journal, []workflow.Engine{a.external}
}

// closeTemporal gives back what waits for nodes of this server.
func (a *App) closeTemporal(ctx context.Context) error {
	if a.temporal == nil {
		return nil
	}
	return a.temporal.Close(ctx)
}

// temporalCheck is how it stands with Temporal.
func temporalCheck(s temporal.Status) check {
	c := check{OK: s.Up, Since: &s.Since}
	if !s.Up {
		c.Why = s.Error
	}
	return c
}

// temporalSource is who telemetry asks, nil if nobody.
func (a *App) temporalSource() telemetry.Temporal {
	if a.temporal == nil {
		return nil
	}
	return func() (temporal.Status, temporal.Counts) { return a.temporal.Status(), a.temporal.Counts() }
}
