package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/app"
)

func tokenInspectCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "inspect [token]",
		Short: "Say what is in a token and whether the configuration would accept it; reads it from the input if it is not given",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := ""
			if len(args) == 1 {
				text = args[0]
			} else if raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20)); err != nil {
				return err
			} else {
				text = string(raw)
			}
			c, err := flags.load(cmd.Flags(), nil)
			if err != nil {
				return err
			}
			a, err := app.Authenticator(c)
			if err != nil {
				return err
			}
			return inspect(cmd, a, strings.TrimSpace(text))
		},
	}
	flags.add(cmd.Flags())
	return cmd
}

// inspect prints the parts of a token, and the verdict. The signature is left
// out: without it what is printed lets nobody in.
func inspect(cmd *cobra.Command, a *auth.Authenticator, token string) error {
	w := cmd.OutOrStdout()
	header, claims, err := auth.Decode(token)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name  string
		value map[string]any
	}{{"header", header}, {"claims", claims}} {
		text, err := json.MarshalIndent(part.value, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s %s\n", part.name, text)
	}
	id, err := a.Inspect(cmd.Context(), auth.FromText(token))
	if err != nil {
		var refusal *events.Error
		if !errors.As(err, &refusal) {
			return err
		}
		fmt.Fprintf(w, "refused: %s: %s\n", refusal.Code, refusal.Message)
		return errSilent
	}
	fmt.Fprintf(w, "accepted: %s, until %s (%v from now)\n", id.User, id.Expires.UTC().Format(time.RFC3339), time.Until(id.Expires).Round(time.Second))
	for _, m := range id.Tenants {
		fmt.Fprintf(w, "  %s in %s\n", m.Role, m.ID)
	}
	if id.Operator() {
		fmt.Fprintln(w, "  operates the server")
	}
	return nil
}
