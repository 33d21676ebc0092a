package app

import (
	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/external"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// limits are what a run may take.
func limits(c config.Workflow) workflow.Limits {
	return workflow.Limits{MaxDuration: c.MaxDuration, MaxResult: int(c.MaxResult), MaxVariables: int(c.MaxVariables), MaxEntries: uint64(c.MaxEntries)}
}

// newWorkflows builds what keeps workflows and what carries their runs on.
func (a *App) newWorkflows(out *publisher, contract *asyncapi.Contract) error {
	c := a.opts.Config.Workflow
	types := nodeTypes(c, a.data, completions{a.models, a.budget(), a.log})
	store := a.db.Workflows()
	a.feed = workflow.NewFeed(out, a.log)
	a.feed.LimitContexts(int(c.ContextLimit))
	a.journal = journal.New(journal.Options{
		Store: store, Feed: a.feed, Types: types, Logger: a.log,
		Parallel: c.Parallel, ParallelPerTenant: c.ParallelPerTenant, RunsPerTenant: c.RunsPerTenant,
		Limits: limits(c),
		Owner:  a.instances.ID, Resumed: a.resumed, Peers: a.workflowPeers(),
	})
	a.external = external.New(external.Options{
		Store: store, Feed: a.feed, Logger: a.log, MaxBatch: a.opts.Config.Publish.MaxBatch, MaxResult: int(c.MaxResult),
		Check: func(event string, payload []byte) error { return contract.Publication("/", event, payload) },
	})
	if err := a.newTemporal(types, out.epoch); err != nil {
		return err
	}
	engine, others := a.engines()
	a.workflows = workflow.NewService(workflow.ServiceOptions{
		Store: store, Engine: engine, Others: others, Feed: a.feed, Types: types, MaxDuration: c.MaxDuration,
		Saved: func(by *auth.Identity, w workflow.Workflow) { out.workflowSaved(by, w, a.log) },
	})
	if a.peers != nil {
		a.peers.Handle(journal.Method, a.journal.Serve)
	}
	return nil
}
