package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/internal/app"
)

func configCommand() *cobra.Command {
	return group("config", "Work with the configuration", configCheckCommand())
}

func configCheckCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the configuration",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.load(cmd.Flags(), nil)
			if err != nil {
				return err
			}
			problems := c.Check()
			if len(problems) == 0 {
				if err := app.CheckAuth(c.Auth); err != nil {
					problems = append(problems, err.Error())
				}
				if err := app.CheckStore(c.Store); err != nil {
					problems = append(problems, err.Error())
				}
				if err := app.CheckDataSources(c.DataSources); err != nil {
					problems = append(problems, err.Error())
				}
				if err := app.CheckModels(c.Chat.Models); err != nil {
					problems = append(problems, err.Error())
				}
			}
			if !c.Auth.HasKey() {
				fmt.Fprintln(cmd.OutOrStdout(), "note: auth: neither issuers nor apiKeys are set, so `roomcast serve` needs --dev or a key of `roomcast keys create`")
			}
			for _, w := range c.Warnings() {
				fmt.Fprintln(cmd.OutOrStdout(), "warning: "+w)
			}
			for _, p := range problems {
				fmt.Fprintln(cmd.OutOrStdout(), p)
			}
			if len(problems) > 0 {
				return errSilent
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is fine")
			return nil
		},
	}
	flags.add(cmd.Flags())
	return cmd
}
