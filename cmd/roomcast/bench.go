package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/internal/bench"
)

const benchHelp = `Put load on any Socket.IO server and count what comes back.

The server answers three events in the default namespace: bench:echo {id, seq, …},
acknowledged with {…, seq}; bench:join with a room's name; and bench:publish
{room, count, event, payload}. Our own ` + "`go run ./test/protocol -load`" + ` does.
jitter and runs need other servers, see there.

With --pid the processor time and memory of the server are measured too. The
exit status is 1 if a message was lost or came out of order.`

func benchCommand() *cobra.Command {
	var workloads []*cobra.Command
	for _, w := range bench.Workloads() {
		workloads = append(workloads, workloadCommand(w))
	}
	cmd := group("bench", "Put load on any Socket.IO server", append(workloads, jitterCommand(), runsCommand())...)
	cmd.Long = benchHelp
	return cmd
}

type benchOptions struct {
	target  bench.Target
	options bench.Options
	json    bool
}

func workloadCommand(w bench.Workload) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   w.Name,
		Short: strings.ToUpper(w.About[:1]) + w.About[1:],
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runBench(cmd, w, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.target.URL, "url", "http://127.0.0.1:3000", "the server")
	f.StringVar(&o.target.Token, "token", "", "auth.token of the handshake")
	f.IntVar(&o.target.PID, "pid", 0, "the server's process, to measure its processor time and memory")
	f.IntVar(&o.options.Connections, "connections", 0, "how many connections (default: the workload's)")
	f.DurationVar(&o.options.Duration, "duration", 0, "how long to measure (default: the workload's)")
	f.IntVar(&o.options.Rate, "rate", 0, "messages, or publications, a second (default: the workload's)")
	f.IntVar(&o.options.Window, "window", 0, "of echo: events under way on each connection (default 10)")
	f.IntVar(&o.options.Count, "count", 0, "of burst: publications (default 1000)")
	f.IntVar(&o.options.Rooms, "rooms", 0, "of rooms: how many (default 500)")
	f.BoolVar(&o.json, "json", false, "print the result as one line of JSON")
	return cmd
}

func runBench(cmd *cobra.Command, w bench.Workload, o benchOptions) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	if w.Name == "idle" && o.target.PID == 0 {
		return fmt.Errorf("idle measures the memory of a process: name it with --pid")
	}
	begun := time.Now()
	o.options.Progress = func(done int64, what string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "\r%s: %d %s, %.0f s ", w.Name, done, what, time.Since(begun).Seconds())
	}
	r, err := w.Run(ctx, o.target, o.options)
	return concludeBench(cmd, r, o.json, err)
}

// concludeBench prints a result and says whether it is one.
func concludeBench(cmd *cobra.Command, r bench.Result, asJSON bool, err error) error {
	fmt.Fprint(cmd.ErrOrStderr(), "\r"+strings.Repeat(" ", 60)+"\r")
	if err == nil || r.Messages > 0 {
		if err := printResult(cmd.OutOrStdout(), r, asJSON); err != nil {
			return err
		}
	}
	if err == nil {
		err = r.Err()
	}
	if err == context.Canceled {
		return errSilent
	}
	return err
}

func printResult(w io.Writer, r bench.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-16s "+format+"\n", append([]any{label}, args...)...)
	}
	line("workload", "%s, %d connections", r.Workload, r.Connections)
	if r.Seconds > 0 {
		line("messages", "%d in %.2f s, %.0f a second", r.Messages, r.Seconds, r.PerSecond)
	}
	if r.CPU > 0 {
		line("processor time", "%.2f µs a message", r.CPU)
	}
	if r.P50 > 0 {
		line("latency", "p50 %.2f ms, p99 %.2f ms, max %.2f ms", r.P50, r.P99, r.Max)
	}
	if r.Memory > 0 {
		line("memory", "%.1f KB a connection", r.Memory/1000)
	}
	if r.Written > 0 {
		line("written", "%.1f KB a message", r.Written/1000)
	}
	line("lost", "%d", r.Lost)
	line("out of order", "%d", r.Disordered)
	return nil
}
