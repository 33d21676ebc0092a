package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/identity"
)

func keysCommand() *cobra.Command {
	return group("keys", "Work with API keys, in the database of the server", keysCreateCommand(), keysListCommand(), keysDisableCommand())
}

// keysOptions are the flags that these verbs share.
type keysOptions struct {
	configFlags
	tenant string
	json   bool
}

func (o *keysOptions) add(f *pflag.FlagSet) {
	o.configFlags.add(f)
	f.BoolVar(&o.json, "json", false, "print JSON")
}

// with opens the keys and calls fn. A server may be using them meanwhile.
func (o *keysOptions) with(cmd *cobra.Command, fn func(ctx context.Context, keys *identity.Keys, w io.Writer) error) error {
	c, err := o.load(cmd.Flags(), nil)
	if err != nil {
		return err
	}
	keys, done, err := app.OpenKeys(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer done()
	return fn(cmd.Context(), keys, cmd.OutOrStdout())
}

// operator is who the database remembers for what is done here.
func operator() string {
	if u, err := user.Current(); err == nil {
		return "command line: " + u.Username
	}
	return "command line"
}

func keysCreateCommand() *cobra.Command {
	var o keysOptions
	var n identity.NewKey
	var role string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an API key and print it, this once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n.Role = auth.Role(strings.ToUpper(role))
			return o.with(cmd, func(ctx context.Context, keys *identity.Keys, w io.Writer) error {
				secret, key, err := keys.Make(ctx, operator(), o.tenant, n)
				if err != nil {
					return err
				}
				return o.printNew(w, secret, key)
			})
		},
	}
	f := cmd.Flags()
	o.add(f)
	f.StringVar(&n.Name, "name", "", "what the key is for (required)")
	f.StringVar(&n.User, "user", "", "who the program acts as (required)")
	f.StringVar(&o.tenant, "tenant", app.DevTenant, "the tenant of the key")
	f.StringVar(&role, "role", "member", "member, admin or publisher")
	cmd.MarkFlagRequired("name")
	cmd.MarkFlagRequired("user")
	return cmd
}

func (o *keysOptions) printNew(w io.Writer, secret string, key identity.Key) error {
	if o.json {
		return json.NewEncoder(w).Encode(struct {
			identity.Key
			Secret string `json:"apiKey"`
		}{key, secret})
	}
	_, err := fmt.Fprintf(w, "%s\n\nThis is the key, and it is not shown again. It is %s, of %s in %s as %s.\n", secret, key.ID, key.User, key.Tenant, key.Role)
	return err
}

func keysListCommand() *cobra.Command {
	var o keysOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys of a tenant",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd, func(ctx context.Context, keys *identity.Keys, w io.Writer) error {
				list, err := keys.All(ctx, o.tenant)
				if err != nil {
					return err
				}
				if o.json {
					return json.NewEncoder(w).Encode(map[string]any{"apiKeys": list})
				}
				return printKeys(w, list)
			})
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().StringVar(&o.tenant, "tenant", app.DevTenant, "the tenant whose keys are listed")
	return cmd
}

func printKeys(w io.Writer, list []identity.Key) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tBEGINS\tUSER\tROLE\tCREATED\tDISABLED")
	for _, k := range list {
		disabled := "-"
		if k.DisabledAt != nil {
			disabled = k.DisabledAt.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s…\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Prefix, k.User, k.Role, k.CreatedAt.Format(time.RFC3339), disabled)
	}
	return t.Flush()
}

func keysDisableCommand() *cobra.Command {
	var o keysOptions
	cmd := &cobra.Command{
		Use:   "disable <id>",
		Short: "Shut an API key out for good; open sessions end within auth.revocationInterval",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd, func(ctx context.Context, keys *identity.Keys, w io.Writer) error {
				key, err := keys.Remove(ctx, operator(), args[0])
				if err != nil {
					return err
				}
				if o.json {
					return json.NewEncoder(w).Encode(key)
				}
				_, err = fmt.Fprintf(w, "%s (%s) is disabled\n", key.Name, key.ID)
				return err
			})
		},
	}
	o.add(cmd.Flags())
	return cmd
}
