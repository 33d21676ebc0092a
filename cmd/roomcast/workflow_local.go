package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/runview"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// here is a run that goes on in this process.
type here struct {
	local    *app.Local
	run      workflow.Run
	user     *auth.Identity
	happened chan struct{} // has something when something may have happened
}

// lookAgain is how often a run is looked at although nothing was told: that a
// node begins is told nobody.
const lookAgain = 50 * time.Millisecond

// Next implements followed.
func (h *here) Next(ctx context.Context, after uint64, wait time.Duration) ([]interpreter.Entry, error) {
	over := time.After(wait)
	for {
		log, err := h.local.Workflows.Log(ctx, h.run, after)
		if err != nil || len(log) > 0 {
			return log, err
		}
		select {
		case <-h.happened:
		case <-time.After(lookAgain):
		case <-over:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Submit implements followed.
func (h *here) Submit(ctx context.Context, requestID string, data any) error {
	return h.local.Workflows.Submit(ctx, h.user, h.run, workflow.Input{RequestID: requestID, Data: data, Field: "input"})
}

// runHere runs the workflow of a file in this process.
func (o *runOptions) runHere(ctx context.Context, cmd *cobra.Command, file string, input map[string]any) error {
	c, err := o.load(cmd.Flags(), nil)
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("data") {
		folder, err := os.MkdirTemp("", "roomcast-run-")
		if err != nil {
			return fmt.Errorf("a folder for the run: %w", err)
		}
		defer os.RemoveAll(folder)
		c.Server.Data = folder
	}
	title, def, err := o.readFile(cmd, c, file)
	if err != nil {
		return err
	}
	local, err := app.NewLocal(ctx, c, io.Discard)
	if err != nil {
		return err
	}
	h := &here{
		local: local, happened: make(chan struct{}, 1),
		user: &auth.Identity{User: operator(), Tenants: []auth.Membership{{ID: o.localTenant(), Role: auth.Admin}}},
	}
	local.Feed.Observe(func(workflow.Update) {
		select {
		case h.happened <- struct{}{}:
		default:
		}
	})
	defer local.Close()
	if h.run, err = local.Workflows.Test(ctx, h.user, o.localTenant(), def, input); err != nil {
		return inputError(err)
	}
	v := newViewer(cmd, runview.New(orElse(title, file), h.run.ID, h.run.Plan), h)
	v.asker = o.asker(cmd)
	err = v.show(ctx)
	if v.view.Ended() == nil { // broken off, or nobody answers
		v.asker = nil
		h.stop(context.WithoutCancel(ctx), v)
		if interrupted(ctx, err) {
			return v.status()
		}
	}
	return err
}

// localTenant is whose run it is: data sources belong to tenants.
func (o *runOptions) localTenant() string { return orElse(o.tenant, app.DevTenant) }

// stop ends the run, and shows how.
func (h *here) stop(ctx context.Context, v *viewer) {
	if err := h.local.Workflows.Stop(ctx, h.user, h.run); err == nil || late(err) {
		v.show(ctx)
	}
}

// readFile reads a workflow, and says all that is wrong with it.
func (o *runOptions) readFile(cmd *cobra.Command, c config.Config, file string) (title string, d definition, err error) {
	checks, done, err := app.Definitions(c)
	if err != nil {
		return "", d, err
	}
	defer done()
	title, d, err = readWorkflow(cmd.InOrStdin(), checks, o.localTenant(), file)
	if err == nil {
		return title, d, nil
	}
	var found []fileProblem
	for _, p := range problemsOf(err) {
		found = append(found, fileProblem{file, p})
	}
	if err := printProblems(cmd.ErrOrStderr(), found, 1, false); err != nil {
		return "", d, err
	}
	return "", d, errSilent
}

// inputError names the flag for an input that is wrong.
func inputError(err error) error {
	if e, ok := events.Public(err); ok {
		return usage(fmt.Errorf("--input: %s", e.Message))
	}
	return err
}
