package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/roomcast/roomcast/internal/bench"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// A database is where the server of a row keeps runs.
type database struct {
	name string
	env  []string
	own  bool // the server writes it, and not a process of its own
}

var databases = []database{
	{"SQLite, normal", []string{"ROOMCAST_STORE_SYNCHRONOUS=normal"}, true},
	{"SQLite, full", []string{"ROOMCAST_STORE_SYNCHRONOUS=full"}, true},
	{"PostgreSQL", []string{"ROOMCAST_STORE_DRIVER=postgres"}, false},
}

// runRow is one way in which runs are carried on.
type runRow struct {
	database database
	options  bench.RunsOptions
}

func (r runRow) name() string {
	by, load := "REST", fmt.Sprintf("%d at once", r.options.InFlight)
	if r.options.Widget {
		by = "widget"
	}
	if r.options.Rate > 0 {
		load = fmt.Sprintf("%d a second", r.options.Rate)
	}
	return fmt.Sprintf("runs: %s | %s | %s | %s", r.database.name, r.options.Workflow, by, load)
}

// runRows returns the rows of which the names contain a text.
func runRows(only string) (rows []runRow) {
	for i, d := range databases {
		for _, workflow := range bench.RunWorkflows() {
			for _, widget := range []bool{false, true} {
				for _, load := range []bench.RunsOptions{{InFlight: 1}, {InFlight: 8}, {InFlight: 64}, {Rate: 500}} {
					load.Workflow, load.Widget = workflow, widget
					r := runRow{d, load}
					if whole := i == 0; (whole || widget) && strings.Contains(r.name(), only) {
						rows = append(rows, r)
					}
				}
			}
		}
	}
	return rows
}

// measureRuns measures all rows of runs, and returns their table.
func measureRuns(ctx context.Context, rounds int, only string) (string, error) {
	rows := runRows(only)
	if len(rows) == 0 {
		return "", nil
	}
	postgres, err := postgrestest.Durable()
	if err != nil {
		return "", err
	}
	defer postgres.Close()
	results := make([][]bench.Result, len(rows))
	for round := range rounds {
		for i, row := range rows {
			env := row.database.env
			if !row.database.own {
				url, err := postgres.Database()
				if err != nil {
					return "", err
				}
				env = append(env, "ROOMCAST_STORE_URL="+url)
			}
			r, err := measureRun(ctx, env, row.options)
			if err != nil {
				return "", fmt.Errorf("%s: %w", row.name(), err)
			}
			results[i] = append(results[i], r)
			fmt.Fprintf(os.Stderr, "round %d of %d  %-60s %8.0f a second, p50 %6.2f ms, p99 %6.2f ms, %6.0f µs\n", round+1, rounds, row.name(), r.PerSecond, r.P50, r.P99, r.CPU)
		}
	}
	return reportRuns(rows, results), nil
}

// measureRun starts a server, measures and stops it.
func measureRun(ctx context.Context, env []string, o bench.RunsOptions) (bench.Result, error) {
	t, p, err := startWhole(ctx, env)
	if err != nil {
		return bench.Result{}, err
	}
	defer p.stop()
	o.Tenant = t.tenant
	return bench.Runs(ctx, t.Target, o)
}

// wholeTarget is the whole server as a target of an administrator.
type wholeTarget struct {
	bench.Target
	tenant string
}

// startWhole starts the whole server as it comes, with fresh data.
func startWhole(ctx context.Context, env []string) (t wholeTarget, p process, err error) {
	folder, err := os.MkdirTemp("", "roomcast-bench-")
	if err != nil {
		return t, p, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(folder)
		}
	}()
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return t, p, err
	}
	defer log.Close() // the server has it open
	cmd := exec.CommandContext(ctx, "bin/roomcast", "serve", "--dev", "--json", "--addr", "127.0.0.1:0")
	cmd.Env = append(append(os.Environ(), "ROOMCAST_SERVER_DATA="+filepath.Join(folder, "data"), "ROOMCAST_WORKFLOW_HTTP_ALLOWPRIVATE=true"), env...)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return t, p, err
	}
	if err := cmd.Start(); err != nil {
		return t, p, err
	}
	p = process{cmd, folder}
	var server struct {
		URL, Tenant string
		Tokens      struct{ Admin string }
	}
	if err := json.NewDecoder(stdout).Decode(&server); err != nil {
		said, _ := os.ReadFile(log.Name())
		p.stop()
		return t, p, fmt.Errorf("the server did not start: %s", said)
	}
	return wholeTarget{bench.Target{URL: server.URL, Token: server.Tokens.Admin, PID: cmd.Process.Pid}, server.Tenant}, p, nil
}

func reportRuns(rows []runRow, results [][]bench.Result) string {
	var b strings.Builder
	b.WriteString(runsIntro)
	for i, row := range rows {
		of := func(value func(bench.Result) float64) float64 {
			var values []float64
			for _, r := range results[i] {
				values = append(values, value(r))
			}
			return median(values)
		}
		written := "in its own process"
		if row.database.own {
			written = figure(of(func(r bench.Result) float64 { return r.Written / 1000 }))
		}
		fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %.0f | %s |\n", strings.TrimPrefix(row.name(), "runs: "),
			of(func(r bench.Result) float64 { return r.PerSecond }), figure(of(func(r bench.Result) float64 { return r.P50 })),
			figure(of(func(r bench.Result) float64 { return r.P99 })), of(func(r bench.Result) float64 { return r.CPU }), written)
	}
	return b.String()
}

const runsIntro = `
## Workflow runs

Runs of three nodes on a real server, ` + "`roomcast serve`" + ` as it comes, measured by ` + "`roomcast bench runs`" + `. **pure**: start, a transform, end; it is stored in one transaction before anybody hears of it. **effect**: start, an http node that calls a server on this machine, end; that the call begins is stored before it is made, and its result after it.

A run counts when its client has seen all of it: each node and the end with the right output, once and in order; else the measurement fails. Latency is from when a client asks for a run, by ` + "`POST …/execute`" + ` and then joining it, or by ` + "`widget_workflow_connect`" + `, until it has the end of it: start to finish as users see it. At a rate, it is from when the client should have asked, and 64 clients take turns. Microseconds are processor time of the server for one run, with everything that its client gets, and KB are what it has had written to disks.

What is promised: in every row a client hears of nothing that would not survive the end of the process, kill -9 included. With ` + "`store.synchronous: normal`" + `, the default, a loss of power may take the last moments; with ` + "`full`" + `, and with PostgreSQL as it is installed (` + "`fsync` and `synchronous_commit`" + ` on), nothing. How long that takes is up to the disk, here a virtual one.

| database | nodes | by | load | runs a second | p50 ms | p99 ms | server µs | written KB |
|---|---|---|---|---:|---:|---:|---:|---:|
`
