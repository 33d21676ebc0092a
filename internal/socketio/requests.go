package socketio

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/cluster"
)

// requests are the messages to other servers that wait for answers.
type requests struct {
	mu   sync.Mutex
	open map[string]func(*cluster.Response)
}

// begin gives a message an id; fn is called with its answers, one at a time.
func (r *requests) begin(m *cluster.Message, fn func(*cluster.Response)) (end func()) {
	m.RequestID = uuid.NewString()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[string]func(*cluster.Response))
	}
	r.open[m.RequestID] = fn
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, m.RequestID)
	}
}

// answered takes an answer to where it is waited for.
func (r *requests) answered(a *cluster.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fn := r.open[a.RequestID]; fn != nil {
		fn(a)
	}
}

// ask waits for the answers of all other servers.
func (r *requests) ask(ctx context.Context, bus cluster.Bus, m *cluster.Message, fn func(*cluster.Response)) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	servers, err := bus.Servers(ctx, m.Namespace)
	if err != nil {
		return fmt.Errorf("counting servers: %w", err)
	}
	if servers <= 1 {
		return nil
	}
	others := servers - 1
	answers, over := make(chan *cluster.Response), make(chan struct{})
	end := r.begin(m, func(a *cluster.Response) {
		select {
		case answers <- a:
		case <-over:
		}
	})
	defer end()
	defer close(over)
	bus.Publish(m)
	for n := range others {
		select {
		case a := <-answers:
			fn(a)
		case <-ctx.Done():
			return fmt.Errorf("%d of %d servers answered: %w", n, others, ctx.Err())
		}
	}
	return nil
}
