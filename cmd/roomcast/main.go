// Command roomcast is the Roomcast event server and its tools. Each verb is a
// file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
)

func main() {
	if err := root().ExecuteContext(context.Background()); err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "roomcast: "+err.Error())
		}
		os.Exit(statusOf(err))
	}
}

// statusOf is the exit status for an error: 1 unless it says otherwise.
func statusOf(err error) int {
	var e exitError
	if errors.As(err, &e) {
		return e.status
	}
	return 1
}

// exitError ends the program with a status of its own.
type exitError struct {
	error
	status int
}

func (e exitError) Unwrap() error { return e.error }

// usage is the error of a call that makes no sense.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return exitError{err, 2}
}

// errSilent ends the program with status 1 when everything has been said.
var errSilent = errors.New("")

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "roomcast",
		Short:         "An event server for AI chat, workflow runs and dashboards over Socket.IO",
		Version:       app.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(serveCommand(), configCommand(), tokenCommand(), keysCommand(), workflowCommand(), benchCommand())
	return cmd
}

// group is a command that only holds others. It refuses what it does not hold.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := ""
			if best := cmd.SuggestionsFor(args[0]); len(best) > 0 {
				hint = fmt.Sprintf(", did you mean %q?", best[0])
			}
			return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
		},
		Args:                       cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(commands...)
	return cmd
}

// configFlags are the flags that every verb which reads the configuration has.
type configFlags struct{ file string }

// add registers the flags. Those that override a setting are named in keys.
func (f *configFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.file, "config", "", "configuration `file` (default: config.yaml in this folder, if there is one)")
	flags.String("data", "", "`folder` of the database")
}

// load reads the configuration: file, environment, flags.
func (f *configFlags) load(flags *pflag.FlagSet, keys map[string]string) (config.Config, error) {
	src := config.Source{File: f.file, Env: os.Environ(), Flags: map[string]*pflag.Flag{"server.data": flags.Lookup("data")}}
	if src.File == "" {
		if _, err := os.Stat("config.yaml"); err == nil {
			src.File = "config.yaml"
		}
	}
	for key, name := range keys {
		src.Flags[key] = flags.Lookup(name)
	}
	return config.Load(src)
}
