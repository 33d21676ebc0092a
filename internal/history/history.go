// Package history numbers and keeps what is published to rooms that have no
// journal of their own.
//
// A publication is stored before anybody hears of it. The number is given out
// by the database, so that several servers that share it never give out one
// twice, and what one server publishes to a room reaches the publisher in the
// order of the numbers. Many publications, of any rooms, share a transaction:
// those that come while one is being written are in the next.
//
// Histories are bounded by count and age. What was trimmed keeps its number:
// reading from before it begins with a [Gap].
package history

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/once"
)

// A Publisher sends what has been stored to the sessions in a room. data is a
// checked payload with its offset. It is called for one publication at a time.
type Publisher interface {
	PublishRaw(room events.Room, pos cluster.Position, event string, data json.RawMessage)
}

// Options configure a [Service].
type Options struct {
	Store     Store
	Publisher Publisher
	// Epoch is [Store.Epoch].
	Epoch  string
	Logger *slog.Logger
	// Check reports whether a payload is one of its event, before it is stored;
	// nil believes so. data comes without its offset.
	Check func(event string, data []byte) error
	Limits
	// Now is the clock, for tests.
	Now func() time.Time
}

// Limits bound the history of each room.
type Limits struct {
	Count int           // default 1000
	Age   time.Duration // default 24 h
}

// A Service keeps histories. Its methods may be called concurrently.
type Service struct {
	opts    Options
	writing sync.WaitGroup // the goroutine that writes

	published, trimmed atomic.Int64

	mu      sync.Mutex
	waiting []*publication
	running bool
}

// publication is one that waits to be written. Whoever publishes waits too,
// so what waits is bounded by how many publish at once.
type publication struct {
	Publication
	pos   cluster.Position
	known bool // it was published before
	err   error
	done  *sync.WaitGroup
}

// New returns a Service.
func New(opts Options) *Service {
	if opts.Count <= 0 {
		opts.Count = 1000
	}
	if opts.Age <= 0 {
		opts.Age = 24 * time.Hour
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts: opts}
}

// A Message is something to publish.
type Message struct {
	Room  events.Room
	Event string
	Data  json.RawMessage // the payload, an object without an offset
	// Key makes the message be published once, while it is kept; "" is none.
	Key string
}

// Result is what became of a message.
type Result struct {
	Position cluster.Position
	Err      error
}

// Publish numbers, stores and publishes a payload. When it returns the payload
// has been published, or never will be; what has begun is not ended by ctx. In
// a request that is to happen once it is published once.
func (s *Service) Publish(ctx context.Context, room events.Room, p events.Payload) (cluster.Position, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return cluster.Position{}, fmt.Errorf("encoding %s: %w", p.EventName(), err)
	}
	r := s.PublishAll(ctx, []Message{{room, p.EventName(), data, once.Key(ctx, "publication")}})[0]
	return r.Position, r.Err
}

// PublishAll is Publish for several messages, in their order. One that fails
// does not keep the others from being published.
func (s *Service) PublishAll(ctx context.Context, messages []Message) []Result {
	results := make([]Result, len(messages))
	all := make([]*publication, len(messages))
	var done sync.WaitGroup
	now := s.opts.Now().UTC()
	for i, m := range messages {
		all[i] = &publication{done: &done}
		if all[i].err = s.check(ctx, m); all[i].err == nil {
			all[i].Publication = Publication{Room: m.Room, Event: m.Event, Data: validUTF8(m.Data), At: now, Key: m.Key}
			done.Add(1)
		}
	}
	s.enqueue(all)
	done.Wait()
	for i, p := range all {
		results[i] = Result{p.pos, p.err}
	}
	return results
}

func (s *Service) check(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.opts.Check == nil {
		return nil
	}
	return s.opts.Check(m.Event, m.Data)
}

// enqueue puts publications behind those that wait, and has them written.
func (s *Service) enqueue(all []*publication) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range all {
		if p.err == nil {
			s.waiting = append(s.waiting, p)
		}
	}
	if !s.running && len(s.waiting) > 0 {
		s.running = true
		s.writing.Go(s.write)
	}
}

// Close waits until what is being published has been.
func (s *Service) Close() { s.writing.Wait() }

// Stats count publications since the start.
type Stats struct {
	Published int64 // that were stored and published here
	Trimmed   int64 // that this server removed because of their number or age
}

// Stats returns the numbers of now.
func (s *Service) Stats() Stats { return Stats{s.published.Load(), s.trimmed.Load()} }

// Epoch returns the name of the numbering.
func (s *Service) Epoch() string { return s.opts.Epoch }
