package chat

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// coalesce is about how often what an assistant says is passed on. The first
// piece goes at once.
const coalesce = 40 * time.Millisecond

// A stream passes on what an assistant says while it answers. Pieces are stored
// before they are published, so whoever comes in the middle, to whichever
// instance, reads what there is and misses nothing.
type stream struct {
	svc   *Service
	term  context.Context // in which the turn is this instance's
	turn  Turn
	began time.Time

	mu      sync.Mutex
	first   time.Time       // when something was said
	text    strings.Builder // all of it
	pending []Entry         // not stored yet; text of a delta is added to
	delta   strings.Builder // text that is not in pending yet
	at      int             // length of the text before delta, in UTF-16 code units
	err     error           // why nothing more is taken
	closed  bool

	wake    chan struct{}
	closing chan struct{} // closed when nothing more comes
	done    chan struct{} // closed when all was passed on
	head    uint64        // the latest entry; only of run
}

var _ Out = (*stream)(nil)

func newStream(s *Service, t Turn, head uint64) *stream {
	out := &stream{svc: s, term: s.term(), turn: t, began: time.Now(), head: head, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go out.run() // close waits for it
	return out
}

// goOnAfter notes what another server has said before.
func (o *stream) goOnAfter(said string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.WriteString(said)
	o.at = length(said)
}

// Text implements [Out].
func (o *stream) Text(piece string) error {
	piece = clean(piece)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil && piece != "" {
		o.begin()
		o.text.WriteString(piece)
		o.delta.WriteString(piece)
		o.poke()
	}
	return o.err
}

// clean takes out of a text what no store takes.
func clean(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
}

// ToolCall implements [Out].
func (o *stream) ToolCall(id, name string, arguments json.RawMessage) error {
	if len(arguments) == 0 || !json.Valid(arguments) {
		arguments = json.RawMessage("null")
	}
	return o.add(ToolCall, events.AIChatToolCall{
		ChatRoomID: o.turn.Room.ID, ReplyTo: o.turn.Message.Seq, ToolCallID: clean(id), Name: clean(name), Arguments: events.JSON(arguments),
	})
}

// ToolResult implements [Out].
func (o *stream) ToolResult(id string, ok bool, summary string) error {
	return o.add(ToolResult, events.AIChatToolResult{
		ChatRoomID: o.turn.Room.ID, ReplyTo: o.turn.Message.Seq, ToolCallID: clean(id), OK: ok, Summary: clean(summary),
	})
}

func (o *stream) add(kind Kind, p events.Payload) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.begin()
		o.cutDelta()
		o.pending = append(o.pending, payload(kind, o.turn.Message.Seq, p))
		o.poke()
	}
	return o.err
}

// begin notes when the first thing is said. The mutex is held.
func (o *stream) begin() {
	if o.first.IsZero() {
		o.first = time.Now()
	}
}

// end says the rest of a text, or all of it in place of what was said. Errors
// are told by close.
func (o *stream) end(text string) {
	said, _ := o.said()
	rest, goesOn := strings.CutPrefix(text, said)
	if !goesOn {
		o.withdraw()
	}
	o.Text(rest)
}

// withdraw takes back what was said: the next text is at the beginning.
func (o *stream) withdraw() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
	o.delta.Reset()
	o.at = 0
	o.pending = slices.DeleteFunc(o.pending, func(e Entry) bool { return e.Kind == Delta })
}

// cutDelta makes an entry of the text that has gathered. The mutex is held.
func (o *stream) cutDelta() {
	if o.delta.Len() == 0 {
		return
	}
	text := o.delta.String()
	o.delta.Reset()
	o.pending = append(o.pending, payload(Delta, o.turn.Message.Seq, events.AIChatBotStreamDelta{
		ChatRoomID: o.turn.Room.ID, ReplyTo: o.turn.Message.Seq, At: o.at, Text: text,
	}))
	o.at += length(text)
}

// length is how long a text is in JavaScript.
func length(text string) (n int) {
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// first returns the beginning of a text, which is n long in JavaScript.
func first(text string, n int) string {
	for i, r := range text {
		if n <= 0 {
			return text[:i]
		}
		n -= utf16.RuneLen(r)
	}
	return text
}

func (o *stream) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// said returns the text so far, and how long it took until something was said.
func (o *stream) said() (text string, first time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if first = o.first.Sub(o.began); o.first.IsZero() {
		first = time.Since(o.began)
	}
	return o.text.String(), first
}

// close passes on what is left and returns the number of the latest entry, or
// why nobody knows what that is: the turn is another's, or this instance ends.
func (o *stream) close() (head uint64, err error) {
	o.mu.Lock()
	o.closed = true
	close(o.closing)
	o.poke()
	o.mu.Unlock()
	<-o.done
	return o.head, o.err
}

// run passes on what comes: at once if nothing came for a while, and then about
// every coalesce.
func (o *stream) run() {
	defer close(o.done)
	for range o.wake {
		o.mu.Lock()
		o.cutDelta()
		entries, closed := o.pending, o.closed
		o.pending = nil
		o.mu.Unlock()
		if len(entries) > 0 && !o.pass(entries) || closed {
			return
		}
		select {
		case <-time.After(coalesce):
		case <-o.closing:
		}
	}
}

// pass stores and publishes entries. While the store is away what is said
// gathers.
func (o *stream) pass(entries []Entry) bool {
	pieces := make([]Piece, len(entries))
	for i := range entries {
		entries[i].Prev = o.head + uint64(i)
		entries[i].Seq = entries[i].Prev + 1
		pieces[i] = Piece{RoomID: o.turn.Room.ID, Owner: o.turn.Message.Owner, Entry: entries[i]}
	}
	err := o.svc.untilStored(o.term, o.svc.opts.Logger.With("room", o.turn.Room.ID), func(context.Context) error {
		return o.svc.pieces.Write(pieces)
	})
	if errors.Is(err, ErrStopped) { // by a server that could not tell this one
		o.svc.stopHere(stopOrder{RoomID: o.turn.Room.ID, Seq: o.turn.Message.Seq})
		err = nil
	}
	if err != nil {
		o.mu.Lock()
		o.err = err
		o.mu.Unlock()
		return false
	}
	o.head += uint64(len(entries))
	for _, e := range entries {
		o.svc.publishEntry(o.turn.Room.ID, e)
	}
	return true
}

// addToStream stores the pieces of many turns.
func (s *Service) addToStream(all [][]Piece) ([]error, error) {
	var flat []Piece
	for _, pieces := range all {
		flat = append(flat, pieces...)
	}
	errs, err := s.opts.Store.AddToStream(context.Background(), flat)
	if err != nil {
		return nil, err
	}
	refused, at := make([]error, len(all)), 0
	for i, pieces := range all {
		for range pieces {
			if errs[at] != nil && refused[i] == nil {
				refused[i] = errs[at]
			}
			at++
		}
	}
	return refused, nil
}

// publishEntry sends an entry to those who follow the stream of a room.
func (s *Service) publishEntry(roomID string, e Entry) {
	p := e.Payload()
	if p == nil {
		return
	}
	if err := s.opts.Publisher.Publish(events.ChatStreamRoom(roomID), e.Position(), p); err != nil {
		s.opts.Logger.Error("piece of an answer was not published", "room", roomID, "error", err)
	}
}

// typing tells those who follow the stream of a room whether an answer is being
// given. It is not kept: who comes later sees it by the stream.
func (s *Service) typing(roomID string, is bool) {
	if err := s.opts.Publisher.Publish(events.ChatStreamRoom(roomID), cluster.Position{}, events.AIChatBotTyping{ChatRoomID: roomID, Typing: is}); err != nil {
		s.opts.Logger.Error("typing was not published", "room", roomID, "error", err)
	}
}

// Position is where an entry stands in the room of the stream.
func (e Entry) Position() cluster.Position {
	return cluster.Position{Offset: e.Seq, Prev: e.Prev}
}

// Payload is the event of an entry, nil if it has none.
func (e Entry) Payload() events.Payload {
	switch e.Kind {
	case StreamStart:
		return decode[events.AIChatBotStreamStart](e)
	case Delta:
		return decode[events.AIChatBotStreamDelta](e)
	case ToolCall:
		return decode[events.AIChatToolCall](e)
	case ToolResult:
		return decode[events.AIChatToolResult](e)
	case StreamEnd:
		return decode[events.AIChatBotStreamEnd](e)
	}
	return nil
}

func decode[T events.Payload](e Entry) T {
	var v T
	json.Unmarshal(e.Data, &v) // written by payload
	return v
}

// Pieces returns what the stream of a room got after an offset, up to another,
// as far as it is kept.
func (s *Service) Pieces(ctx context.Context, roomID string, after, until uint64) ([]Entry, error) {
	entries, err := s.opts.Store.Stream(ctx, roomID, after, until)
	for i := range entries {
		entries[i].Prev, after = after, entries[i].Seq // what is between is not kept any more
	}
	return entries, err
}

// Streamed is Pieces, with pieces of text that follow each other as one.
func (s *Service) Streamed(ctx context.Context, roomID string, after, until uint64) ([]Entry, error) {
	entries, err := s.Pieces(ctx, roomID, after, until)
	if err != nil {
		return nil, err
	}
	var compact []Entry
	for len(entries) > 0 {
		n := 1
		for entries[0].Kind == Delta && n < len(entries) && entries[n].Kind == Delta && entries[n].Turn == entries[0].Turn {
			n++
		}
		compact, entries = append(compact, join(entries[:n])), entries[n:]
	}
	return compact, nil
}

// join makes one of pieces of text that follow each other; of others there is
// only one.
func join(pieces []Entry) Entry {
	last := pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return last
	}
	d := decode[events.AIChatBotStreamDelta](pieces[0])
	var text strings.Builder
	end := d.At // of the text
	for _, e := range pieces {
		more := decode[events.AIChatBotStreamDelta](e)
		switch {
		case more.At < d.At:
			d.At = more.At
			text.Reset()
		case more.At < end:
			kept := first(text.String(), more.At-d.At)
			text.Reset()
			text.WriteString(kept)
		}
		text.WriteString(more.Text)
		end = more.At + length(more.Text)
	}
	d.Text = text.String()
	e := payload(Delta, last.Turn, d)
	e.Seq, e.Prev, e.At = last.Seq, pieces[0].Prev, last.At
	return e
}
