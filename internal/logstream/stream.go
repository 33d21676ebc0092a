// Package logstream shows the server's log to those who watch it.
//
// Writing a line never waits for a watcher: it goes into a ring, and one
// goroutine takes it from there to the rooms of /monitor. When the ring turns
// faster than that goroutine, the lines in between are lost to watchers, which
// is counted and told. Secrets are taken out before a line enters the ring.
package logstream

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/events"
)

// A Line is one line of the log.
type Line struct {
	Seq     uint64 // from 1, in the stream
	Own     uint64 // from 1, among those of this server; 0 of another's
	From    events.Instance
	Time    time.Time
	Level   slog.Level
	Tenant  string      // whom it is about, "" if no single one
	Shared  bool        // it is about nobody, and any administrator may see it
	Content events.JSON // an object with message and attributes
}

// Payload returns the line as watchers get it.
func (l Line) Payload() events.Log {
	return events.Log{Instance: l.From, RoutingKey: routingKey(l.Level), Content: l.Content, Timestamp: l.Time.UnixMilli()}
}

func routingKey(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "log.debug"
	case level < slog.LevelWarn:
		return "log.info"
	case level < slog.LevelError:
		return "log.warn"
	}
	return "log.error"
}

// A Stream is a ring of lines. Its methods may be called concurrently.
type Stream struct {
	dropped atomic.Int64
	wake    chan struct{}

	mu   sync.Mutex
	ring []Line
	seq  uint64 // of the latest line
	own  uint64 // of the latest of this server
	self events.Instance
}

// New returns a stream that keeps the latest size lines.
func New(size int) *Stream {
	return &Stream{ring: make([]Line, max(size, 1)), wake: make(chan struct{}, 1)}
}

// Name says whose log it is. It is set before anybody watches.
func (s *Stream) Name(self events.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.self = self
}

// add puts a line of this server into the ring.
func (s *Stream) add(l Line) { s.put(l, true) }

func (s *Stream) put(l Line, own bool) {
	s.mu.Lock()
	if own {
		s.own++
		l.Own = s.own
	}
	s.seq++
	l.Seq = s.seq
	s.ring[l.Seq%uint64(len(s.ring))] = l
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Since returns the lines after a number that the ring still has, oldest
// first, and how many it has lost.
func (s *Stream) Since(after uint64) (lines []Line, lost uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if oldest := s.seq - min(s.seq, uint64(len(s.ring))); after < oldest {
		lost, after = oldest-after, oldest
	}
	for n := after + 1; n <= s.seq; n++ {
		l := s.ring[n%uint64(len(s.ring))]
		if l.Own > 0 {
			l.From = s.self
		}
		lines = append(lines, l)
	}
	return lines, lost
}

// Dropped returns how many lines no watcher has seen.
func (s *Stream) Dropped() int64 { return s.dropped.Load() }

// Last returns the number of the latest line, 0 if there is none.
func (s *Stream) Last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// Run takes lines to publish until ctx ends. publish must not log.
func (s *Stream) Run(ctx context.Context, publish func(Line)) error {
	var at uint64
	for {
		lines, lost := s.Since(at)
		if lost > 0 {
			s.dropped.Add(int64(lost))
			publish(s.droppedLine(at+lost, lost))
		}
		for _, l := range lines {
			publish(l)
			at = l.Seq
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
	}
}

// droppedLine tells that lines are missing.
func (s *Stream) droppedLine(seq, n uint64) Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Line{Seq: seq, From: s.self, Time: time.Now(), Level: slog.LevelWarn, Shared: true, Content: dropped(n)}
}

func dropped(n uint64) events.JSON {
	content, _ := json.Marshal(map[string]any{"message": "log lines were dropped", "dropped": n})
	return content
}
