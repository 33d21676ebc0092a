package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// wire carries notes between servers by name. It loses those to nobody.
type wire struct {
	mu      sync.Mutex
	servers map[string]map[string]func(cluster.Note)
}

// end is one server's end of a wire.
type end struct {
	*wire
	self string
}

var _ cluster.Notes = end{}

func (e end) Send(n cluster.Note) {
	n.From = e.self
	e.mu.Lock()
	fn := e.servers[n.To][n.Topic]
	e.mu.Unlock()
	if fn != nil {
		fn(n)
	}
}

func (e end) Listen(topic string, fn func(cluster.Note)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.servers[e.self] == nil {
		e.servers[e.self] = make(map[string]func(cluster.Note))
	}
	e.servers[e.self][topic] = fn
}

// pair returns two that reach each other as a and b.
func pair(t *testing.T, log *bytes.Buffer, parallel int) (a, b *Service) {
	w := &wire{servers: make(map[string]map[string]func(cluster.Note))}
	server := func(self string) *Service {
		s := New(Options{Notes: end{w, self}, Logger: slog.New(slog.NewTextHandler(log, nil)), Timeout: 5 * time.Second, Parallel: parallel})
		t.Cleanup(func() {
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	return server("a"), server("b")
}

func TestAnswers(t *testing.T) {
	var log bytes.Buffer
	a, b := pair(t, &log, 0)
	b.Handle("double", func(_ context.Context, p []byte) ([]byte, error) { return fmt.Appendf(nil, "[%s,%s]", p, p), nil })
	b.Handle("refuse", func(context.Context, []byte) ([]byte, error) {
		return nil, fmt.Errorf("wrapped: %w", &events.Error{Code: events.CodeConflict, Field: "x.y", Message: "no", RetryAfter: 3})
	})
	b.Handle("fail", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("boom") })
	b.Handle("panic", func(context.Context, []byte) ([]byte, error) { panic("ouch") })
	b.Handle("rubbish", func(context.Context, []byte) ([]byte, error) { return []byte("{"), nil })
	call := func(method string) (string, error) {
		got, err := a.Call(t.Context(), "b/7", method, []byte(`{"n":1}`))
		return string(got), err
	}
	if got, err := call("double"); err != nil || got != `[{"n":1},{"n":1}]` {
		t.Errorf("%s, %v", got, err)
	}
	var e *events.Error
	if _, err := call("refuse"); !errors.As(err, &e) || *e != (events.Error{Code: events.CodeConflict, Field: "x.y", Message: "no", RetryAfter: 3}) {
		t.Errorf("a refusal came as %+v", err)
	}
	for method, want := range map[string]string{"fail": "boom", "panic": "internal error", "rubbish": "not JSON", "unknown": `method "unknown"`} {
		if _, err := call(method); err == nil || errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if !strings.Contains(log.String(), "ouch") {
		t.Error("the log does not tell of the panic")
	}
}

// Each gets the answer to its own request.
func TestManyAtOnce(t *testing.T) {
	a, b := pair(t, &bytes.Buffer{}, 0)
	b.Handle("echo", func(_ context.Context, p []byte) ([]byte, error) { return p, nil })
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			want := fmt.Sprint(i)
			if got, err := a.Call(t.Context(), "b", "echo", []byte(want)); err != nil || string(got) != want {
				t.Errorf("%s, %v, want %s", got, err, want)
			}
		})
	}
	all.Wait()
}

func TestNoAnswer(t *testing.T) {
	a, b := pair(t, &bytes.Buffer{}, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Call(ctx, "nobody/1", "x", nil); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of nobody: %v", err)
	}
	// A handler has as long as the caller waits; who is one too many is told.
	began, ended := make(chan struct{}), make(chan error, 1)
	b.Handle("hang", func(ctx context.Context, _ []byte) ([]byte, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := a.Call(ctx, "b", "hang", nil); err == nil {
			t.Error("an answer of who hangs")
		}
	})
	<-began
	if _, err := a.Call(t.Context(), "b", "hang", nil); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("one too many: %v", err)
	}
	all.Wait()
	if err := <-ended; err == nil {
		t.Error("the handler was not told")
	}
	if len(a.waiting) != 0 {
		t.Errorf("%d still wait", len(a.waiting))
	}
}
