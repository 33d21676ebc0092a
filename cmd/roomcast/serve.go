package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/gcfloor"
)

type serveOptions struct {
	configFlags
	dev, force, json bool
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd, o) },
	}
	f := cmd.Flags()
	o.add(f)
	f.StringSlice("addr", nil, "`host:port` to listen on; may be repeated")
	f.BoolVar(&o.dev, "dev", false, "development: random secret, printed tokens, sample workflows, this machine only")
	f.BoolVar(&o.force, "force-public-dev", false, "let --dev listen on an address that others can reach")
	f.BoolVar(&o.json, "json", false, "print where the server is as one line of JSON")
	return cmd
}

func serve(cmd *cobra.Command, o serveOptions) error {
	c, err := o.load(cmd.Flags(), map[string]string{"server.addr": "addr"})
	if err != nil {
		return err
	}
	if problems := c.Check(); len(problems) > 0 {
		return errors.New("the configuration has problems:\n  " + strings.Join(problems, "\n  "))
	}
	if err := o.check(c); err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	a, err := app.New(ctx, app.Options{Config: c, Dev: o.dev, Log: cmd.ErrOrStderr()})
	if err != nil {
		return err
	}
	if err := o.announce(cmd.OutOrStdout(), a, c); err != nil {
		return err
	}
	gcfloor.Set()
	return a.Run(ctx)
}

// check refuses what would be open to anybody.
func (o serveOptions) check(c config.Config) error {
	if !o.dev || o.force {
		return nil
	}
	for _, addr := range c.Server.Addr {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("server.addr: %w", err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("--dev prints tokens that let anybody in, and %s can be reached by others: listen on 127.0.0.1, or add --force-public-dev", addr)
		}
	}
	return nil
}

// untilSignal returns a context that ends when somebody asks the process to
// end. Who asks twice ends it at once.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	over := make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-over:
				return
			}
			if ctx.Err() != nil {
				os.Exit(1)
			}
			cancel()
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		cancel()
	}
}

// announcement is what `--json` prints.
type announcement struct {
	Addresses []string          `json:"addresses"`
	TLS       []string          `json:"tls,omitempty"` // those of them where TLS is spoken
	URL       string            `json:"url"`
	Tokens    *app.DevTokens    `json:"tokens,omitempty"`
	Tenant    string            `json:"tenant,omitempty"`
	URLs      map[string]string `json:"urls"`
}

// announce says where the server is.
func (o serveOptions) announce(w io.Writer, a *app.App, c config.Config) error {
	addrs := a.Addrs()
	base := "http://" + addrs[0]
	if len(c.Server.Addr) == 0 {
		base = "https://" + addrs[0]
	}
	out := announcement{Addresses: addrs, TLS: addrs[len(addrs)-len(c.Server.TLS.Addr):], URL: base, URLs: map[string]string{
		"home":     base + "/",
		"socketio": base + c.Socket.Path,
		"client":   base + c.Socket.Path + "socket.io.js",
		"monitor":  base + "/monitor",
		"asyncapi": base + "/asyncapi.yaml",
		"api":      base + "/api/v1/",
		"live":     base + "/health/live",
		"ready":    base + "/health/ready",
	}}
	if len(c.WebSocket.Dialects) > 0 {
		out.URLs["ws"] = "ws" + strings.TrimPrefix(base, "http") + "/ws"
	}
	if o.dev {
		tokens, err := a.DevTokens()
		if err != nil {
			return err
		}
		out.Tokens, out.Tenant = &tokens, app.DevTenant
	}
	if o.json {
		return json.NewEncoder(w).Encode(out)
	}
	o.print(w, out)
	return nil
}

func (o serveOptions) print(w io.Writer, out announcement) {
	addresses := strings.Join(out.Addresses, ", ")
	if len(out.TLS) > 0 {
		addresses += "; with TLS on " + strings.Join(out.TLS, ", ")
	}
	fmt.Fprintf(w, "Roomcast %s is listening on %s\n\n", app.Version, addresses)
	for _, line := range []struct{ label, key string }{
		{"Home page", "home"},
		{"Socket.IO", "socketio"},
		{"Plain WebSocket", "ws"},
		{"Client for browsers", "client"},
		{"AsyncAPI", "asyncapi"},
		{"REST", "api"},
		{"Health", "ready"},
	} {
		if url := out.URLs[line.key]; url != "" {
			fmt.Fprintf(w, "  %-20s %s\n", line.label, url)
		}
	}
	fmt.Fprintf(w, "  %-20s io(%q), for administrators\n", "Monitor", out.URLs["monitor"])
	if out.Tokens == nil {
		return
	}
	fmt.Fprintf(w, "\nDevelopment, tenant %q. These tokens end in twelve hours:\n\n", out.Tenant)
	fmt.Fprintf(w, "  Member  %s\n\n  Admin   %s\n\n", out.Tokens.Member, out.Tokens.Admin)
	fmt.Fprintf(w, "Open the home page as the administrator:\n\n  %s#token=%s\n\n", out.URLs["home"], out.Tokens.Admin)
}
