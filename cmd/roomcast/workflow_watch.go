package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/remote"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

func workflowWatchCommand() *cobra.Command {
	var o serverFlags
	cmd := &cobra.Command{
		Use:   "watch INSTANCE_ID",
		Short: "Show how a run of a server goes, from its first node to its end",
		Long:  "Show how a run of a server goes, from its first node to its end. It changes nothing.\nIf the server cannot be reached for a while, it goes on where it was.",
		Args:  counted(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := o.open()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			run, err := server.Run(ctx, args[0])
			if err != nil {
				return err
			}
			return watch(ctx, cmd, server, run, nil)
		},
	}
	o.add(cmd.Flags(), "http://127.0.0.1:3000")
	return cmd
}

// there is a run that goes on on a server.
type there struct {
	server   *remote.Server
	run      remote.Run
	happened chan struct{} // has something when something may have happened
	working  sync.WaitGroup
	asked    time.Time // when the log was read last
	pause    time.Duration
	lost     func(error) // told when the server cannot be reached any more
}

// How often the log of a run is read although its room is silent, since that a
// node begins is told nobody; and at most, if the server cannot be reached.
const (
	askAgain = time.Second
	maxAgain = 5 * time.Second
)

// newThere follows a run until ctx ends.
func newThere(ctx context.Context, server *remote.Server, run remote.Run) *there {
	t := &there{server: server, run: run, happened: make(chan struct{}, 1), pause: askAgain, lost: func(error) {}}
	t.working.Go(func() { server.Follow(ctx, run, t.wake) }) // what it refuses is read all the same
	return t
}

func (t *there) wait() { t.working.Wait() }

func (t *there) wake() {
	select {
	case t.happened <- struct{}{}:
	default:
	}
}

// Next implements followed. A server that cannot be reached is asked again.
func (t *there) Next(ctx context.Context, after uint64, wait time.Duration) ([]interpreter.Entry, error) {
	due := time.Until(t.asked.Add(t.pause))
	if due > 0 {
		select {
		case <-t.happened:
		case <-time.After(min(due, wait)):
			if due > wait {
				return nil, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	t.asked = time.Now()
	log, err := t.server.Log(ctx, t.run, after)
	switch {
	case err == nil:
		t.pause = askAgain
		return log, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case after == 0 || remote.Final(err): // it has not been reached once, or will not answer
		return nil, err
	}
	if t.pause == askAgain {
		t.lost(err)
	}
	t.pause = min(2*t.pause, maxAgain)
	return nil, nil
}

// Submit implements followed.
func (t *there) Submit(ctx context.Context, requestID string, data any) error {
	err := t.server.Submit(ctx, t.run, requestID, data)
	if e, ok := refusalOf(err); ok {
		return e
	}
	return err
}

// refusalOf returns what a server refused as it would be refused here.
func refusalOf(err error) (*events.Error, bool) {
	e, ok := remote.Refusal(err)
	if !ok {
		return nil, false
	}
	return &events.Error{Code: e.Code, Message: e.Text}, true
}
