package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

func workflowValidateCommand() *cobra.Command {
	var flags configFlags
	var asJSON bool
	var tenant string
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Say all that is wrong with workflows, as the server would when they are saved; - is the input",
		Args:  counted(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			c, err := flags.load(cmd.Flags(), nil)
			if err != nil {
				return err
			}
			checks, done, err := app.Definitions(c)
			if err != nil {
				return err
			}
			defer done()
			found := validateFiles(cmd.InOrStdin(), checks, tenant, files)
			if err := printProblems(cmd.OutOrStdout(), found, len(files), asJSON); err != nil {
				return err
			}
			if len(found) > 0 {
				return errSilent
			}
			return nil
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&tenant, "tenant", app.DevTenant, "whose data sources the workflows may use")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the problems as one document of JSON")
	return cmd
}

// fileProblem is something wrong with a file.
type fileProblem struct {
	File string `json:"file"`
	graph.Problem
}

func validateFiles(in io.Reader, checks *workflow.Service, tenant string, files []string) []fileProblem {
	found := []fileProblem{}
	for _, file := range files {
		_, _, err := readWorkflow(in, checks, tenant, file)
		if err == nil {
			continue
		}
		for _, p := range problemsOf(err) {
			found = append(found, fileProblem{file, p})
		}
	}
	return found
}

func problemsOf(err error) graph.Problems {
	if all := graph.AllProblems(err); all != nil {
		return all
	}
	var e *events.Error
	if errors.As(err, &e) && e.Field != "" {
		return graph.Problems{{Field: e.Field, Message: strings.TrimPrefix(e.Message, e.Field+": ")}}
	}
	return graph.Problems{{Message: err.Error()}}
}

// readWorkflow reads a workflow that is fit to be run.
func readWorkflow(in io.Reader, checks *workflow.Service, tenant, file string) (title string, d graph.Definition, err error) {
	var raw []byte
	if file == "-" {
		raw, err = io.ReadAll(in)
	} else {
		raw, err = os.ReadFile(file)
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err // the file is named beside it
	}
	if err != nil {
		return "", d, err
	}
	if title, d, err = graph.Read(raw); err != nil {
		return "", d, err
	}
	return title, d, checks.Check(tenant, d)
}

func printProblems(w io.Writer, found []fileProblem, files int, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"valid": len(found) == 0, "problems": found})
	}
	for _, p := range found {
		if p.Field == "" {
			fmt.Fprintf(w, "%s: %s\n", p.File, p.Message)
		} else {
			fmt.Fprintf(w, "%s: %s\n", p.File, p.Problem)
		}
	}
	switch {
	case len(found) > 0:
	case files == 1:
		fmt.Fprintln(w, "the workflow is fine")
	default:
		fmt.Fprintf(w, "the %d workflows are fine\n", files)
	}
	return nil
}
