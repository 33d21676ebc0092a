package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// What one transaction holds at most, and how long it may take.
const (
	batchLen   = 1000
	batchBytes = 8 << 20
	batchTime  = 10 * time.Second
)

// write stores and publishes what waits, until nothing does.
func (s *Service) write() {
	for {
		batch := s.next()
		if batch == nil {
			return
		}
		s.store(batch)
		for _, p := range batch {
			if p.err == nil && !p.known {
				s.published.Add(1)
				s.opts.Publisher.PublishRaw(p.Room, p.pos, p.Event, events.WithOffset(p.Data, p.pos.Offset))
			}
			p.done.Done()
		}
	}
}

// next takes the next publications to write, nil if there are none.
func (s *Service) next() []*publication {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(s.waiting) && n < batchLen && (n == 0 || size+len(s.waiting[n].Data) <= batchBytes) {
		size += len(s.waiting[n].Data)
		n++
	}
	if n == 0 {
		s.running, s.waiting = false, nil
		return nil
	}
	batch := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	return batch
}

// store writes a batch. If that fails each is written alone, so that one that
// the database does not take fails alone.
func (s *Service) store(batch []*publication) {
	err := s.append(batch)
	if err == nil || len(batch) == 1 {
		return
	}
	s.opts.Logger.Warn("publications are stored one by one", "count", len(batch), "error", err)
	for _, p := range batch {
		s.append([]*publication{p})
	}
}

func (s *Service) append(batch []*publication) error {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	all := make([]Publication, len(batch))
	for i, p := range batch {
		all[i] = p.Publication
	}
	numbers, err := s.opts.Store.Append(ctx, all)
	if err != nil {
		err = fmt.Errorf("storing publication: %w", err)
	}
	for i, p := range batch {
		if p.err = err; err == nil {
			p.pos, p.known = s.Position(numbers[i].Offset), numbers[i].Known
		}
	}
	return err
}

// Position is that of an offset: there are no gaps between them.
func (s *Service) Position(offset uint64) cluster.Position {
	return cluster.Position{Epoch: s.opts.Epoch, Offset: offset, Prev: offset - 1}
}

// validUTF8 returns data as text that every database takes.
func validUTF8(data json.RawMessage) json.RawMessage {
	if utf8.Valid(data) {
		return data
	}
	return bytes.ToValidUTF8(data, []byte("\uFFFD"))
}
