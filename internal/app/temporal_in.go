//go:build temporal

package app

import (
	"github.com/roomcast/roomcast/internal/certificate"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
	"github.com/roomcast/roomcast/internal/workflow/temporal"
)

func (a *App) openTemporal(types nodes.Types, queue string) (clusterEngine, error) {
	c := a.opts.Config.Workflow
	return temporal.New(temporal.Options{
		Server: temporal.Server{
			Address: c.Temporal.Address, Namespace: c.Temporal.Namespace, TaskQueue: queue,
			APIKey: string(c.Temporal.APIKey), TLS: certificate.Client(c.Temporal.TLS), Timeout: c.Temporal.Timeout,
		},
		Store: a.db.Workflows(), Feed: a.feed, Types: types, Logger: a.log,
		Parallel: c.Parallel, Limits: limits(c), Resumed: a.resumed,
	})
}
