// Package peers lets instances ask each other to do something: a request and
// one answer, over notes that may be lost.
//
// A request is carried out at most once. Who gets no answer does not know
// whether it was.
package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/waitgroup"
)

// The topics of notes.
const (
	requests = "peers.request"
	answers  = "peers.answer"
)

// ErrNoAnswer is wrapped by what [Service.Call] returns when no answer came.
var ErrNoAnswer = errors.New("no answer")

// Options configure a [Service].
type Options struct {
	Notes  cluster.Notes
	Logger *slog.Logger
	// Timeout is how long an answer is waited for, if the caller does not wait
	// less. Default 5 s.
	Timeout time.Duration
	// Parallel bounds the requests that are carried out at once; one more is
	// refused. Default 256.
	Parallel int
}

// A Handler carries out requests. An error that is an *events.Error reaches
// the caller as it is, of others only the text.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// A Service asks and answers. Its methods may be called concurrently.
type Service struct {
	opts     Options
	handlers map[string]Handler
	ctx      context.Context // of handlers
	cancel   context.CancelFunc
	working  sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]chan answer // by request
	running int
	stats   Stats
	closed  bool
}

// Stats count requests since the start.
type Stats struct {
	Sent       int64 // to other instances
	Unanswered int64 // of those, that got no answer
	Received   int64 // from other instances
	Refused    int64 // of those, because too many were being carried out, or at the end
}

// Stats returns the numbers of now.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

type request struct {
	ID      string          `json:"id"`
	Method  string          `json:"method"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// Millis is how long the caller waits.
	Millis int64 `json:"millis"`
}

type answer struct {
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Error   *events.Error   `json:"error,omitempty"`
	Failure string          `json:"failure,omitempty"`
}

// New returns a Service that listens. It must be made before the notes begin
// to be carried.
func New(opts Options) *Service {
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Parallel <= 0 {
		opts.Parallel = 256
	}
	s := &Service{opts: opts, handlers: make(map[string]Handler), waiting: make(map[string]chan answer)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	opts.Notes.Listen(requests, s.requested)
	opts.Notes.Listen(answers, s.answered)
	return s
}

// Handle sets what carries out the requests of a method. It must be called
// before the notes begin to be carried. Payloads and answers are JSON.
func (s *Service) Handle(method string, h Handler) { s.handlers[method] = h }

// address is the server that an instance is, or was: the id of an instance is
// that, a slash and a number.
func address(instance string) string {
	if i := strings.LastIndexByte(instance, '/'); i >= 0 {
		return instance[:i]
	}
	return instance
}

// Call asks an instance to do something and returns its answer.
func (s *Service) Call(ctx context.Context, instance, method string, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	r := request{ID: uuid.NewString(), Method: method, Payload: payload}
	if deadline, ok := ctx.Deadline(); ok {
		r.Millis = time.Until(deadline).Milliseconds()
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding request: %w", err)
	}
	came := make(chan answer, 1)
	s.mu.Lock()
	s.waiting[r.ID] = came
	s.stats.Sent++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, r.ID)
	}()
	s.opts.Notes.Send(cluster.Note{Topic: requests, To: address(instance), Data: data})
	select {
	case a := <-came:
		switch {
		case a.Error != nil:
			return nil, a.Error
		case a.Failure != "":
			return nil, fmt.Errorf("instance %s: %s", instance, a.Failure)
		}
		return a.Payload, nil
	case <-ctx.Done():
		s.mu.Lock()
		s.stats.Unanswered++
		s.mu.Unlock()
		return nil, fmt.Errorf("%s of instance %s: %w: %w", method, instance, ErrNoAnswer, ctx.Err())
	}
}

// answered takes an answer to who waits for it, if somebody still does.
func (s *Service) answered(n cluster.Note) {
	var a answer
	if err := json.Unmarshal(n.Data, &a); err != nil {
		s.opts.Logger.Warn("answer of another instance is not readable", "from", n.From, "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if came := s.waiting[a.ID]; came != nil {
		came <- a // there is room for one, and nobody sends another
		delete(s.waiting, a.ID)
	}
}

// requested carries out a request on a goroutine of its own.
func (s *Service) requested(n cluster.Note) {
	var r request
	if err := json.Unmarshal(n.Data, &r); err != nil {
		s.opts.Logger.Warn("request of another instance is not readable", "from", n.From, "error", err)
		return
	}
	s.mu.Lock()
	busy := s.closed || s.running >= s.opts.Parallel
	s.stats.Received++
	if busy {
		s.stats.Refused++
	} else {
		s.running++
		s.working.Add(1)
	}
	s.mu.Unlock()
	if busy {
		s.reply(n.From, answer{ID: r.ID, Failure: "it is busy or stopping"})
		return
	}
	go func() {
		defer s.working.Done()
		a := s.carryOut(r)
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
		s.reply(n.From, a)
	}()
}

// carryOut runs the handler of a request. A panic is one bad answer.
func (s *Service) carryOut(r request) (a answer) {
	a.ID = r.ID
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("request of another instance panicked", "method", r.Method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a = answer{ID: r.ID, Failure: "internal error"}
		}
	}()
	h := s.handlers[r.Method]
	if h == nil {
		a.Failure = fmt.Sprintf("it does not know the method %q", r.Method)
		return a
	}
	ctx, cancel := context.WithTimeout(s.ctx, time.Duration(r.Millis)*time.Millisecond)
	defer cancel()
	payload, err := h(ctx, r.Payload)
	if err == nil {
		a.Payload = payload
		return a
	}
	if !errors.As(err, &a.Error) {
		a.Failure = err.Error()
	}
	return a
}

func (s *Service) reply(to string, a answer) {
	data, err := json.Marshal(a)
	if err != nil {
		data, _ = json.Marshal(answer{ID: a.ID, Failure: "its answer is not JSON"})
	}
	s.opts.Notes.Send(cluster.Note{Topic: answers, To: to, Data: data})
}

// Close takes no more requests and waits for those that are being carried out,
// or until ctx ends; they are then cut short.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer s.cancel()
	return waitgroup.Wait(ctx, &s.working)
}
