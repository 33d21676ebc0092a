package main

import (
	"github.com/spf13/cobra"
)

const workflowHelp = `Check workflows, run them, and watch them run.

The exit status is 0 for a run that is completed and for workflows without
problems, 1 for failures and problems, 2 for a call that makes no sense, and 3
for a run that was stopped or cancelled.`

func workflowCommand() *cobra.Command {
	cmd := group("workflow", "Check workflows, run them, and watch them run", workflowValidateCommand(), workflowRunCommand(), workflowWatchCommand())
	cmd.Long = workflowHelp
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	return cmd
}

// counted is how many arguments a verb takes; another number is an error of
// usage.
func counted(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error { return usage(args(cmd, list)) }
}
