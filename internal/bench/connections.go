package bench

import (
	"context"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// runConnect measures what a connection costs until it is in its namespace.
func runConnect(ctx context.Context, t Target, o Options) (Result, error) {
	n := orDefault(o.Connections, 3000)
	m, err := startMeter(t.PID)
	if err != nil {
		return Result{}, err
	}
	clients, err := connectAll(ctx, t, n, newProgress(o))
	if err != nil {
		return Result{}, err
	}
	defer closeAll(clients)
	r := Result{Workload: "connect", Connections: n, Messages: int64(n)}
	return r, m.fill(&r)
}

// settle is how long memory is left alone before it is measured.
const settle = 10 * time.Second

// runIdle measures what a connection occupies that has entered its namespace
// and does nothing but answer heartbeats.
func runIdle(ctx context.Context, t Target, o Options) (Result, error) {
	n := orDefault(o.Connections, 10_000)
	// The first connections make the server load what it needs once.
	warm, err := connectAll(ctx, t, 100, newProgress(Options{}))
	if err != nil {
		return Result{}, err
	}
	closeAll(warm)
	if err := sleep(ctx, time.Second); err != nil {
		return Result{}, err
	}
	before, err := residentMemory(t.PID)
	if err != nil {
		return Result{}, err
	}
	clients, err := connectAll(ctx, t, n, newProgress(o))
	if err != nil {
		return Result{}, err
	}
	stop := answerHeartbeats(clients)
	err = sleep(ctx, orDefault(o.Duration, settle))
	after, memErr := residentMemory(t.PID)
	closeAll(clients)
	lost := stop()
	if err == nil {
		err = memErr
	}
	return Result{
		Workload: "idle", Connections: n, Messages: int64(n),
		Memory: float64(after-before) / float64(n), Lost: lost,
	}, err
}

// answerHeartbeats keeps connections alive. The function that it returns
// waits for its end and returns how many the server had closed before.
func answerHeartbeats(clients []*client) (stop func() (lost int64)) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var lost int64
	for _, c := range clients {
		c.ws.SetDeadline(time.Time{})
		all.Go(func() {
			for {
				if _, err := c.read(); err != nil {
					if _, closed := err.(*websocket.CloseError); closed {
						mu.Lock()
						lost++
						mu.Unlock()
					}
					return
				}
			}
		})
	}
	return func() int64 {
		all.Wait()
		return lost
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
