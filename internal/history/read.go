package history

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// pageBytes is about how much one reading returns, unless an entry is larger.
const pageBytes = 256 << 10

// Since returns what was published to a room after an offset, at most limit
// entries; there may be more, up to head. A gap is what will never come: it
// precedes the entries. An epoch other than the present one, but not "", makes
// everything that is kept follow.
func (s *Service) Since(ctx context.Context, room events.Room, epoch string, after uint64, limit int) (entries []Entry, gap *events.Gap, head cluster.Position, err error) {
	h, err := s.Head(ctx, room)
	if err != nil {
		return nil, nil, cluster.Position{}, err
	}
	if epoch == "" {
		epoch = s.opts.Epoch
	}
	after, gap = events.Since{Epoch: epoch, Offset: after}.Resume(room, s.opts.Epoch, h.Trimmed, h.Offset)
	if entries, err = s.opts.Store.Entries(ctx, room, after, limit, pageBytes); err != nil {
		return nil, nil, cluster.Position{}, fmt.Errorf("reading history: %w", err)
	}
	entries = consecutive(entries)
	first := h.Offset + 1 // of what is left, if it has all been trimmed
	if len(entries) > 0 {
		first = entries[0].Offset
		h.Offset = max(h.Offset, entries[len(entries)-1].Offset)
	}
	if first > after+1 {
		gap = widen(gap, room, after+1, first-1)
	}
	return entries, gap, s.Position(h.Offset), nil
}

// consecutive cuts entries where one is missing: reading on from there finds
// the gap.
func consecutive(entries []Entry) []Entry {
	for i := 1; i < len(entries); i++ {
		if entries[i].Offset != entries[i-1].Offset+1 {
			return entries[:i]
		}
	}
	return entries
}

// widen makes a gap that reaches to to.
func widen(gap *events.Gap, room events.Room, from, to uint64) *events.Gap {
	if gap == nil {
		return &events.Gap{Room: room, From: from, To: to, Reason: events.GapTrimmed}
	}
	gap.To = to
	return gap
}

// Head returns where the history of a room stands.
func (s *Service) Head(ctx context.Context, room events.Room) (Head, error) {
	heads, err := s.opts.Store.Heads(ctx, []events.Room{room})
	if err != nil {
		return Head{}, fmt.Errorf("reading history: %w", err)
	}
	return heads[room], nil
}

// Heads returns the offsets of the latest publications of rooms. Those without
// any are left out.
func (s *Service) Heads(ctx context.Context, rooms []events.Room) (map[events.Room]uint64, error) {
	heads, err := s.opts.Store.Heads(ctx, rooms)
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	offsets := make(map[events.Room]uint64, len(heads))
	for room, h := range heads {
		offsets[room] = h.Offset
	}
	return offsets, nil
}
