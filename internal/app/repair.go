package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/internal/workflow"
)

// Missed is a publication that somebody has missed.
type Missed struct {
	Event    string
	Payload  json.RawMessage // with its offset
	Position cluster.Position
}

// repair reads what rooms published, whichever service keeps it: rooms of runs
// and conversations are bare ids, all others have a colon in their names.
type repair struct {
	workflows *workflow.Service
	chat      *chat.Service
	history   *history.Service
}

// kept reports whether a room's history is in the history service.
func kept(room events.Room) bool { return strings.Contains(string(room), ":") }

// Missed returns what a room of "/" published after an offset, up to another, or
// the first of it: a page of a conversation or a history. A gap, which comes
// before that, is what is gone.
func (r repair) Missed(ctx context.Context, room events.Room, after, until uint64) ([]Missed, *events.Gap, error) {
	if id, ok := streamOf(room); ok {
		all, err := r.missedStream(ctx, id, after, until)
		return all, nil, err
	}
	if kept(room) {
		return r.missedHistory(ctx, room, after, until)
	}
	updates, isRun, err := r.workflows.Published(ctx, string(room), after, until)
	if err != nil {
		return nil, nil, err
	}
	var all []Missed
	for _, u := range updates {
		if all, err = r.add(all, u.Payload, u.Position()); err != nil {
			return nil, nil, err
		}
	}
	if isRun {
		return all, nil, nil
	}
	messages, err := r.chat.PublishedPage(ctx, string(room), after, until)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		if all, err = r.add(all, m.Payload(), m.Position()); err != nil {
			return nil, nil, err
		}
	}
	return all, nil, nil
}

// streamOf returns the conversation whose stream a room is.
func streamOf(room events.Room) (chatRoomID string, ok bool) {
	return strings.CutPrefix(string(room), string(events.ChatStreamRoom("")))
}

// missedStream reads what is left of a stream: of answers that are complete,
// the end. Pieces stay as they were said: a member may have some of them.
func (r repair) missedStream(ctx context.Context, id string, after, until uint64) (all []Missed, err error) {
	entries, err := r.chat.Pieces(ctx, id, after, until)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if p := e.Payload(); p != nil {
			if all, err = r.add(all, p, e.Position()); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (r repair) add(all []Missed, p events.Payload, pos cluster.Position) ([]Missed, error) {
	payload, err := events.Encode(events.Numbered{Payload: p, Offset: pos.Offset})
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", p.EventName(), err)
	}
	pos.Epoch = r.history.Epoch()
	return append(all, Missed{p.EventName(), payload, pos}), nil
}

// missedPage is how many publications are read at once.
const missedPage = 256

func (r repair) missedHistory(ctx context.Context, room events.Room, after, until uint64) (all []Missed, gap *events.Gap, err error) {
	if after >= until {
		return nil, nil, nil
	}
	entries, missing, _, err := r.history.Since(ctx, room, "", after, missedPage)
	if err != nil {
		return nil, nil, err
	}
	if missing != nil {
		gap = &events.Gap{Room: room, From: after + 1, To: min(missing.To, until), Reason: missing.Reason}
	}
	for _, e := range entries {
		if e.Offset > until {
			break
		}
		all = append(all, Missed{e.Event, events.WithOffset(e.Data, e.Offset), r.history.Position(e.Offset)})
	}
	return all, gap, nil
}

// Heads returns the offsets of what rooms of "/" published last. Rooms without
// a history are left out. That of a run may be a little higher, when it waits.
func (r repair) Heads(ctx context.Context, rooms []events.Room) (map[events.Room]uint64, error) {
	var others []events.Room
	var ids, streams []string
	for _, room := range rooms {
		if id, ok := streamOf(room); ok {
			streams = append(streams, id)
		} else if kept(room) {
			others = append(others, room)
		} else {
			ids = append(ids, string(room))
		}
	}
	heads, err := r.history.Heads(ctx, others)
	if err != nil {
		return nil, err
	}
	found, err := r.chat.StreamHeads(ctx, streams)
	if err != nil {
		return nil, err
	}
	for id, offset := range found {
		heads[events.ChatStreamRoom(id)] = offset
	}
	for _, of := range []func(context.Context, []string) (map[string]uint64, error){r.workflows.Heads, r.chat.Heads} {
		found, err := of(ctx, ids)
		if err != nil {
			return nil, err
		}
		for id, offset := range found {
			heads[events.Room(id)] = offset
		}
	}
	return heads, nil
}

// roomHistory is what rooms published as the Socket.IO server needs it.
type roomHistory struct {
	repair
	meetings *meet.Service
	log      *slog.Logger
}

var _ socketio.History = roomHistory{}

// Missed implements [socketio.History]. What cannot be read is told as a gap.
func (h roomHistory) Missed(ctx context.Context, namespace string, room events.Room, after, until uint64) []socketio.Publication {
	if namespace == meetSpace {
		return missedPresence(until)
	}
	missed, gap, err := h.repair.Missed(ctx, room, after, until)
	if err != nil {
		h.log.Error("missed publications cannot be read", "room", room, "after", after, "until", until, "error", err)
		missed, gap = nil, &events.Gap{Room: room, From: after + 1, To: until, Reason: events.GapBus}
	}
	var all []socketio.Publication
	if gap != nil {
		payload, _ := events.Encode(*gap)
		all = append(all, socketio.Publication{Event: gap.EventName(), Payload: payload})
	}
	for _, m := range missed {
		all = append(all, socketio.Publication{Event: m.Event, Payload: m.Payload, At: m.Position})
	}
	return all
}

// Heads implements [socketio.History].
func (h roomHistory) Heads(ctx context.Context, namespace string, rooms []events.Room) (map[events.Room]uint64, error) {
	if namespace == meetSpace {
		return meetingHeads(ctx, h.meetings, rooms)
	}
	return h.repair.Heads(ctx, rooms)
}
