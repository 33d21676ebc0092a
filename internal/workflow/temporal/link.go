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

	ctx  context.Context // ends when quit is called
	quit context.CancelFunc
	done chan struct{} // closed when run returns

	mu     sync.Mutex
	status Status
	told   bool // that Temporal is away, or there
	missed int  // answers in a row
}

func newLink(c client.Client, timeout time.Duration, log *slog.Logger, now func() time.Time) *link {
	l := &link{client: c, timeout: timeout, log: log, now: now, done: make(chan struct{})}
	l.status = Status{Error: "not connected yet", Since: now()}
	l.ctx, l.quit = context.WithCancel(context.Background())
	return l
}

// run keeps a worker running until ctx ends, or the link is closed; then it lets
// what the worker does end. It must be called once.
func (l *link) run(ctx context.Context) {
	defer close(l.done)
	defer l.client.Close()
	defer context.AfterFunc(ctx, l.quit)()
	var w worker.Worker
	fatal := make(chan error, 1)
	for {
		err := l.ask()
		if err == nil && w == nil {
			w, err = l.start(fatal)
		}
		l.report(err)
		wait := askWhenUp
		if err != nil {
			wait = askWhenDown
		}
		select {
		case <-l.ctx.Done():
			l.report(errStopping)
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

// errStopping is why Temporal is not used any more.
var errStopping = errors.New("the server is stopping")

// close lets nothing new begin, and waits for what the worker does until ctx
// ends.
func (l *link) close(ctx context.Context) error {
	l.quit()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
func (l *link) ask() error {
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	defer cancel()
	_, err := l.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it has not answered for %v", l.timeout)
	}
	return err
}

// tolerated is how many answers may be missed before Temporal counts as away:
// one that is busy is not.
const tolerated = 1

// report keeps how it stands, and logs it when that changes.
func (l *link) report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.status
	if err == nil {
		l.missed = 0
	} else if l.missed++; before.Up && l.missed <= tolerated && err != errStopping {
		return
	}
	changed := before.Up != (err == nil)
	if changed {
		l.status = Status{Up: err == nil, Since: l.now()}
	}
	if err != nil {
		l.status.Error = err.Error()
	}
	if !changed && l.told || l.ctx.Err() != nil {
		return
	}
	l.told = true
	if err == nil {
		l.log.Info("Temporal is there")
	} else {
		l.log.Error("Temporal is away: its runs wait", "reason", err)
	}
}

// Status returns how it stands with Temporal.
func (l *link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}
