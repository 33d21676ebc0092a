package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/internal/bench"
)

const benchRunsHelp = `Have a Roomcast server carry on runs of a workflow of three nodes, which it
stores for that: start, one that works, and end. What works is a transform
(pure), or an http node that calls this process (effect; the server needs
workflow.http.allowPrivate).

Runs are started over REST, each followed by a client that joins it, or with
--widget by widget_workflow_connect. Every client must see every node of its run
and its end, with the right output, once; else the exit status is 1. Latencies
are from when a run is asked for until its client has seen the end.

Without --rate each client starts the next run when the one before is over.

  roomcast bench runs --url http://127.0.0.1:3000 --token "$ADMIN" --tenant default --pid 4711 --widget --in-flight 64`

type benchRunsOptions struct {
	target  bench.Target
	options bench.RunsOptions
	json    bool
}

func runsCommand() *cobra.Command {
	var o benchRunsOptions
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "Runs of a workflow, each seen from its start to its finish",
		Long:  benchRunsHelp,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runBenchRuns(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.target.URL, "url", "http://127.0.0.1:3000", "the server")
	f.StringVar(&o.target.Token, "token", "", "of somebody who may write and execute workflows")
	f.IntVar(&o.target.PID, "pid", 0, "the server's process, to measure its processor time and what it writes")
	f.StringVar(&o.options.Tenant, "tenant", "default", "whose workflow it is")
	f.StringVar(&o.options.Workflow, "workflow", "pure", strings.Join(bench.RunWorkflows(), " or "))
	f.BoolVar(&o.options.Widget, "widget", false, "start runs over Socket.IO, with widgets")
	f.IntVar(&o.options.InFlight, "in-flight", 0, "how many clients there are, with a run each (default 8, or 64 with a rate)")
	f.IntVar(&o.options.Rate, "rate", 0, "runs a second (default: as fast as it goes)")
	f.DurationVar(&o.options.Duration, "duration", 5*time.Second, "how long to measure")
	f.BoolVar(&o.json, "json", false, "print the result as one line of JSON")
	return cmd
}

func runBenchRuns(cmd *cobra.Command, o benchRunsOptions) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	begun := time.Now()
	o.options.Progress = func(done int64, what string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "\rruns: %d %s, %.0f s ", done, what, time.Since(begun).Seconds())
	}
	r, err := bench.Runs(ctx, o.target, o.options)
	return concludeBench(cmd, r, o.json, err)
}
