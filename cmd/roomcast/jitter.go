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
	"github.com/roomcast/roomcast/internal/gcfloor"
)

const jitterHelp = `Publish to a room whose members lose their connections all the time, and count
what each of them gets.

The members are clients of protocol 4 with connection state recovery, as the
stock client has it since 4.6: they send the private id and the offset of the
last event when they come back. Every client's TCP connection is reset once in
each --cut-every, and its network is away for --away. Then it does what the
stock client does: it waits for 1 s, doubled with each attempt up to 5 s, half
more or less; an attempt while the network is away fails at once. With two
seconds away a client is back after 2 to 7 s, 3 s in the middle, and that is in
the end-to-end latency.

With several --url each return goes to the next one. A client whose session is
not recovered joins again, with --since asking for what it missed.

What joins and what publishes can be set, so that any server can be measured:

  roomcast bench jitter --url http://127.0.0.1:8080 --token "$TOKEN" \
    --join-event join_room --join-payload '"tenant:acme"' --since \
    --publish-url http://127.0.0.1:8080/api/v1/tenants/acme/publish --publish-key "$KEY" \
    --publish-payload '{"room":"tenant:acme","event":"…","data":{payload}}'

{payload} is {seq, at, fill}: these names must reach the clients, and no others
of these names before them. A member reads gap {from, to} as the server's word
that publications are missing there, and payloads' offset as their place.

The exit status is 1 if anything was lost without a gap event in its place,
doubled or out of order, or if a client never came back.`

type jitterOptions struct {
	bench.JitterOptions
	joinPayload string
	json        bool
}

func jitterCommand() *cobra.Command {
	var o jitterOptions
	cmd := &cobra.Command{
		Use:   "jitter",
		Short: "Publications to one room of clients whose connections are cut again and again",
		Long:  jitterHelp,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runJitter(cmd, o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.URLs, "url", []string{"http://127.0.0.1:3000"}, "an instance of the server; may be repeated")
	f.StringVar(&o.Token, "token", "", "auth.token of the handshake")
	f.IntSliceVar(&o.PIDs, "pid", nil, "a process of the server, to measure its processor time; may be repeated")
	f.IntVar(&o.Clients, "clients", 1000, "how many clients are in the room")
	f.IntVar(&o.Rate, "rate", 10, "publications a second")
	f.DurationVar(&o.Every, "cut-every", 15*time.Second, "from cut to cut of each client")
	f.DurationVar(&o.Away, "away", 2*time.Second, "how long the network is away")
	f.DurationVar(&o.Duration, "duration", 5*time.Minute, "how long to publish")
	f.StringVar(&o.JoinEvent, "join-event", "bench:join", "the event that joins the room")
	f.StringVar(&o.joinPayload, "join-payload", `"bench-jitter"`, "its payload, JSON")
	f.StringVar(&o.Publish.Event, "publish-event", "bench:publish", "the event that publishes")
	f.StringVar(&o.Publish.Payload, "publish-payload", "", "its payload, or the body of the request; {payload} is the publication")
	f.StringArrayVar(&o.Publish.URLs, "publish-url", nil, "publish by POST to this address instead; of several the next is tried when one fails")
	f.StringVar(&o.Publish.Key, "publish-key", "", "the API key for it")
	f.BoolVar(&o.Since, "since", false, "ask for what was missed when joining again")
	f.BoolVar(&o.NoRecovery, "no-recovery", false, "clients without connection state recovery, as before 4.6")
	f.Float64Var(&o.PollingShare, "polling-share", 0, "the share of clients, from 0 to 1, that use HTTP long-polling")
	f.Float64Var(&o.SilentShare, "silent-share", 0, "the share of cuts, from 0 to 1, that the server is not told of: the connection stays open, unread")
	f.Uint64Var(&o.Seed, "seed", 1, "of the phases of cuts and of back-off")
	f.BoolVar(&o.json, "json", false, "print the result as one line of JSON")
	return cmd
}

func runJitter(cmd *cobra.Command, o jitterOptions) error {
	if o.JoinPayload = json.RawMessage(o.joinPayload); !json.Valid(o.JoinPayload) {
		return fmt.Errorf("--join-payload is not JSON: a room's name needs its quotes, '\"name\"'")
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	gcfloor.Set() // clients and server share the machine
	begun := time.Now()
	o.Progress = func(done int64, what string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "\rjitter: %d %s, %.0f s ", done, what, time.Since(begun).Seconds())
	}
	r, err := bench.Jitter(ctx, o.JitterOptions)
	fmt.Fprint(cmd.ErrOrStderr(), "\r"+strings.Repeat(" ", 60)+"\r")
	if err == context.Canceled {
		return errSilent
	}
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	} else {
		printJitter(cmd.OutOrStdout(), r)
	}
	if err != nil {
		return err
	}
	return r.Err()
}

func printJitter(w io.Writer, r bench.JitterResult) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-16s "+format+"\n", append([]any{label}, args...)...)
	}
	times := func(label, what string, q bench.Quantiles) {
		line(label, "p50 %.1f ms, p99 %.1f ms, max %.1f ms %s", q.P50, q.P99, q.Max, what)
	}
	line("clients", "%d, %d of them polling", r.Clients, r.Polling)
	line("published", "%d in %.1f s", r.Publications, r.Seconds)
	line("delivered", "%d of %d, %.3f %%", r.Delivered, r.Expected, 100*float64(r.Delivered)/float64(max(r.Expected, 1)))
	line("missing", "%d lost without a word, %d told by %d gap events; %d clients miss something", r.Lost, r.Told, r.Gaps, r.Harmed)
	line("doubled", "%d", r.Doubled)
	line("out of order", "%d", r.Disordered)
	line("connections", "%d cut, %d lost otherwise; attempts refused %d", r.Cuts, r.Drops, r.Refused)
	line("returns", "%d recovered, %d not; %d clients never returned", r.Recovered, r.Unrecovered, r.Absent)
	times("end to end", "from publishing to receiving, absences and back-off included", r.EndToEnd)
	times("caught up", "after the answer to CONNECT", r.CaughtUp)
	times("returned", "from the loss of the connection until caught up", r.Returned)
	times("publishing", "until the server had taken it", r.Publishing)
	line("processor time", "server %.1f µs, clients %.1f µs a delivery", r.ServerCPU, r.ClientCPU)
	for _, failure := range r.Failures {
		line("failure", "%s", failure)
	}
}
