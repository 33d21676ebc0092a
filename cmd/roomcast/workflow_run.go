package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roomcast/roomcast/internal/remote"
	"github.com/roomcast/roomcast/internal/runview"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

type definition = graph.Definition

const runHelp = `Run a workflow and show how it goes.

A FILE runs right here, on the embedded engine and with the limits and data
sources of the configuration, without a server: in a folder that is removed
afterwards, or in that of --data. What it asks people for is asked in the
terminal, or answered with --answer.

With --server the argument is the id of a workflow there, and the run goes on
without this program.

  roomcast workflow run flow.json --input name=Ada --answer review='{"decision":"approve"}'
  roomcast workflow run 7f0b5f0e-… --server https://events.example.org --token "$TOKEN"`

type runOptions struct {
	configFlags
	serverFlags
	inputs, answers []string
	inputJSON       string
	given           map[string]any // the answers
}

func workflowRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run FILE|WORKFLOW_ID",
		Short: "Run the workflow of a file here, or one of a server, and show how it goes",
		Long:  runHelp,
		Args:  counted(cobra.ExactArgs(1)),
		RunE:  func(cmd *cobra.Command, args []string) error { return o.execute(cmd, args[0]) },
	}
	f := cmd.Flags()
	o.configFlags.add(f)
	o.serverFlags.add(f, "")
	f.StringArrayVar(&o.inputs, "input", nil, "an input, `key=value`; JSON is taken as such, else it is text; may be repeated")
	f.StringVar(&o.inputJSON, "input-json", "", "all inputs, as an `object` of JSON")
	f.StringArrayVar(&o.answers, "answer", nil, "what to answer when a node asks for input, `NODE=JSON`; may be repeated")
	return cmd
}

func (o *runOptions) execute(cmd *cobra.Command, what string) error {
	input, err := o.input()
	if err != nil {
		return usage(err)
	}
	if o.given, err = parseAnswers(o.answers); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.server == "" {
		return o.runHere(ctx, cmd, what, input)
	}
	server, err := o.open()
	if err != nil {
		return err
	}
	run, err := server.Execute(ctx, what, input)
	if err != nil {
		return err
	}
	asker := o.asker(cmd)
	if len(o.given) == 0 && asker.in == nil {
		asker = nil // others may answer
	}
	return watch(ctx, cmd, server, run, asker)
}

// input is what the run is given.
func (o *runOptions) input() (map[string]any, error) {
	values := map[string]any{}
	if o.inputJSON != "" {
		if err := json.Unmarshal([]byte(o.inputJSON), &values); err != nil {
			return nil, fmt.Errorf("--input-json is not an object in JSON: %w", err)
		}
	}
	for _, text := range o.inputs {
		key, raw, found := strings.Cut(text, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("--input: %q is not key=value", text)
		}
		var v any
		if json.Unmarshal([]byte(raw), &v) != nil {
			v = raw
		}
		values[key] = v
	}
	return values, nil
}

// asker asks in the terminal, if there is one at both ends.
func (o *runOptions) asker(cmd *cobra.Command) *asker {
	a := &asker{answers: o.given, out: cmd.OutOrStdout()}
	_, _, reads := runview.Size(cmd.InOrStdin())
	_, _, writes := runview.Size(cmd.OutOrStdout())
	if reads && writes {
		a.in = bufio.NewReader(cmd.InOrStdin())
	}
	return a
}

// serverFlags say which server is meant, and who asks.
type serverFlags struct{ server, token, apiKey, tenant string }

func (o *serverFlags) add(f *pflag.FlagSet, server string) {
	f.StringVar(&o.server, "server", server, "the `address` of a server, such as http://127.0.0.1:3000")
	f.StringVar(&o.token, "token", "", "who asks: a token")
	f.StringVar(&o.apiKey, "api-key", "", "who asks: an API key")
	f.StringVar(&o.tenant, "tenant", "", "the tenant to look in (default: all that the caller is a member of)")
}

func (o *serverFlags) open() (*remote.Server, error) {
	s, err := remote.New(remote.Options{URL: o.server, Token: o.token, APIKey: o.apiKey, Tenant: o.tenant})
	return s, usage(err)
}

// watch shows a run of a server until it is over.
func watch(ctx context.Context, cmd *cobra.Command, server *remote.Server, run remote.Run, a *asker) error {
	following, stop := context.WithCancel(ctx)
	there := newThere(following, server, run)
	defer there.wait()
	defer stop()
	v := newViewer(cmd, runview.New(run.Title, run.ID, run.Plan), there)
	v.asker = a
	if v.screen == nil {
		there.lost = func(err error) { fmt.Fprintf(cmd.ErrOrStderr(), "%v; trying again\n", err) }
	}
	err := v.show(ctx)
	if interrupted(ctx, err) {
		fmt.Fprintf(cmd.ErrOrStderr(), "run %s goes on\n", run.ID)
		return exitError{errSilent, exitBroken}
	}
	return err
}
