package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
)

func tokenCommand() *cobra.Command {
	return group("token", "Work with tokens", tokenNewCommand(), tokenInspectCommand())
}

type tokenOptions struct {
	configFlags
	user, tenant, role string
	operator           bool
	ttl                time.Duration
}

func tokenNewCommand() *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a token with the first issuer of the configuration, or that of development",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return newToken(cmd, o) },
	}
	f := cmd.Flags()
	o.add(f)
	f.StringVar(&o.user, "user", "", "whose token it is (required)")
	f.StringVar(&o.tenant, "tenant", app.DevTenant, "the tenant of the user")
	f.StringVar(&o.role, "role", "member", "member, admin or publisher")
	f.BoolVar(&o.operator, "operator", false, "let the user see the whole server in /monitor")
	f.DurationVar(&o.ttl, "ttl", time.Hour, "how long it is valid")
	cmd.MarkFlagRequired("user")
	return cmd
}

func newToken(cmd *cobra.Command, o tokenOptions) error {
	c, err := o.load(cmd.Flags(), nil)
	if err != nil {
		return err
	}
	role := auth.Role(strings.ToUpper(o.role))
	switch {
	case !role.Valid():
		return fmt.Errorf("--role: %q is not one of member, admin, publisher", o.role)
	case o.user == "":
		return errors.New("--user is empty")
	case o.tenant == "":
		return errors.New("--tenant is empty")
	case o.ttl <= 0:
		return fmt.Errorf("--ttl: %v is not a positive duration", o.ttl)
	}
	issuer, err := app.SigningIssuer(c)
	if err != nil {
		return err
	}
	id := auth.Identity{User: o.user, Tenants: []auth.Membership{{ID: o.tenant, Role: role}}}
	if o.operator {
		id.Permissions = []auth.Permission{auth.Operate}
	}
	token, err := issuer.Sign(id, time.Now(), o.ttl)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), token)
	return nil
}
