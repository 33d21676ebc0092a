package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/runview"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A followed run goes on here or on a server.
type followed interface {
	// Next returns the entries after one, nil if there are none within a time.
	Next(ctx context.Context, after uint64, wait time.Duration) ([]interpreter.Entry, error)
	Submit(ctx context.Context, requestID string, data any) error
}

// How often a view is drawn anew although nothing happens, and how long lines
// are where the width is not known.
const (
	redraw       = 200 * time.Millisecond
	defaultWidth = 120
)

// A viewer shows a run until it is over.
type viewer struct {
	view  *runview.View
	run   followed
	out   io.Writer
	style runview.Style
	// screen is nil where nothing can be drawn anew.
	screen *runview.Screen
	// asker answers what the run asks for; nil leaves that to others.
	asker *asker
}

func newViewer(cmd *cobra.Command, view *runview.View, run followed) *viewer {
	v := &viewer{view: view, run: run, out: cmd.OutOrStdout(), style: runview.Style{Width: defaultWidth}}
	if columns, _, ok := runview.Size(v.out); ok && os.Getenv("TERM") != "dumb" {
		v.style.Color = os.Getenv("NO_COLOR") == ""
		v.style.Width = columns
		v.screen = runview.NewScreen(v.out)
	}
	return v
}

// show follows the run to its end and returns the error that its status is.
func (v *viewer) show(ctx context.Context) error {
	for v.view.Ended() == nil {
		entries, err := v.run.Next(ctx, v.view.Seq(), redraw)
		if err != nil {
			return err
		}
		for _, e := range entries {
			v.add(e)
		}
		if err := v.draw(); err != nil {
			return err
		}
		if v.asker != nil {
			v.asker.screen = v.screen
			if err := v.answer(ctx); err != nil {
				return err
			}
		}
	}
	return v.status()
}

func (v *viewer) add(e interpreter.Entry) {
	v.view.Add(e)
	if v.screen != nil {
		return
	}
	if line := v.view.Event(e, v.style); line != "" {
		fmt.Fprintln(v.out, line)
	}
}

// draw draws the view in the size that the terminal has now.
func (v *viewer) draw() error {
	if v.screen == nil {
		return nil
	}
	if columns, rows, ok := runview.Size(v.out); ok && columns > 0 {
		v.style.Width, v.style.Height = columns, rows
	}
	return v.screen.Draw(v.view.Lines(time.Now(), v.style))
}

// answer gives the run what it waits for, one thing at a time.
func (v *viewer) answer(ctx context.Context) error {
	pending := v.view.Pending()
	if len(pending) == 0 || v.view.Ended() != nil {
		return nil
	}
	return v.asker.answer(ctx, v.run, v.view.Node(pending[0].NodeID).Title(), pending[0])
}

// Exit statuses of runs.
const (
	exitFailed  = 1
	exitStopped = 3
	exitBroken  = 130 // off by the user
)

// status is how the run ended, as an error. Everything has been said.
func (v *viewer) status() error {
	switch v.view.Ended().Status {
	case events.RunCompleted:
		return nil
	case events.RunFailed:
		return exitError{errSilent, exitFailed}
	}
	return exitError{errSilent, exitStopped}
}

// interrupted reports whether an error is that the user broke it off.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}
