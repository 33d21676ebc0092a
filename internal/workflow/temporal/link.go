//go:build temporal

package temporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// How often Temporal is asked whether it is there.
const (
	askWhenUp   = 5 * time.Second
	askWhenDown = time.Second
)

// A link is the connection to Temporal. It mends itself: the client connects
// when it is used, the worker is started as soon as Temporal can be reached, and
// again when it gives up.
type link struct {
	client  client.Client
	timeout time.Duration
	worker  func(onFatal func(error)) worker.Worker
	log     *slog.Logger
	now     func() time.Time

	mu     sync.Mutex
	status Status
}

// run keeps a worker running until ctx ends, then lets what it does end.
func (l *link) run(ctx context.Context) {
	defer l.client.Close()
	var w worker.Worker
	fatal := make(chan error, 1)
	for {
		err := l.ask(ctx)
		if err == nil && w == nil {
			w, err = l.start(fatal)
		}
		l.report(ctx, err)
		wait := askWhenUp
		if err != nil {
			wait = askWhenDown
		}
		select {
		case <-ctx.Done():
			if w != nil {
				w.Stop()
			}
			return
		case err := <-fatal: // it stops itself
			l.log.Error("the Temporal worker gave up and is started again", "reason", err)
			w = nil
		case <-time.After(wait):
		}
	}
}

// start starts a worker. One that does not start cannot be started again.
func (l *link) start(fatal chan error) (worker.Worker, error) {
	w := l.worker(func(err error) { fatal <- err })
	if err := w.Start(); err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

// ask returns why Temporal does not answer.
func (l *link) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	_, err := l.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it has not answered for %v", l.timeout)
	}
	return err
}

// report keeps how it stands, and logs it when that changes.
func (l *link) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.status
	if up := err == nil; up != before.Up || before.Since.IsZero() {
		l.status = Status{Up: up, Since: l.now()}
	}
	switch {
	case err == nil && !before.Up:
		l.log.Info("Temporal is there")
	case err != nil:
		l.status.Error = err.Error()
		if before.Up || before.Since.IsZero() {
			l.log.Error("Temporal is away: its runs wait", "reason", err)
		}
	}
}

// Status returns how it stands with Temporal.
func (l *link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}
