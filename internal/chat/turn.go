package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
)

// turn is a message that this instance is answering.
type turn struct {
	Turn
	stop context.CancelCauseFunc
}

// Why a turn ends before its answer is complete.
var (
	ErrStopped = errors.New("somebody stopped the answer")
	errLost    = errors.New("the answer is another's to give")
	errGone    = errors.New("the chat room is gone")
)

// busyPause is how long a turn waits before it asks again whether it may begin,
// when another instance answers a message of the room. It grows to maxBusyPause.
const (
	busyPause    = 10 * time.Millisecond
	maxBusyPause = 500 * time.Millisecond
)

// begin lets a turn begin when no other of its room is to be taken before.
func (s *Service) begin(ctx context.Context, t Turn) (out *stream, stopped bool, err error) {
	start := payload(StreamStart, t.Message.Seq, events.AIChatBotStreamStart{ChatRoomID: t.Room.ID, ReplyTo: t.Message.Seq})
	for pause := busyPause; ; pause = min(2*pause, maxBusyPause) {
		// A server that ends has something to say to those who wait, too.
		head, stopped, err := s.opts.Store.BeginTurn(context.WithoutCancel(ctx), t.Message, start)
		if err == nil {
			out := newStream(s, t, head)
			start.Seq, start.Prev = head, head-1
			s.publishEntry(t.Room.ID, start)
			s.typing(t.Room.ID, true)
			return out, stopped, nil
		}
		if !errors.Is(err, ErrBusy) {
			return nil, false, err
		}
		select {
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// payload makes an entry of what its event says.
func payload(kind Kind, turn uint64, p events.Payload) Entry {
	data, err := json.Marshal(p)
	if err != nil {
		data = []byte("{}") // payloads are made of texts, numbers and JSON
	}
	return Entry{Turn: turn, Kind: kind, Data: data, At: time.Now().UTC()}
}

// take remembers a turn, so that it can be stopped, until the function that it
// returns is called.
func (s *Service) take(t Turn, stop context.CancelCauseFunc) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := &turn{t, stop}
	s.turns[t.Room.ID] = mine
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.turns[t.Room.ID] == mine {
			delete(s.turns, t.Room.ID)
		}
	}
}

// finish is why an answer ended, and what is said when it is not complete.
func (s *Service) finish(ctx context.Context, t Turn, r Reply, err error) Reply {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, ErrStopped):
		r.Finish = FinishStopped
	case err != nil:
		r.Finish = FinishError
		if errors.Is(cause, errLost) || errors.Is(err, context.Canceled) {
			r.Finish = FinishInterrupted
		}
		apology := s.apology(t, err)
		if r.Text != "" {
			apology = "\n\n" + apology
		}
		r.Text += apology
	case r.Finish == "":
		r.Finish = FinishStop
	}
	if r.Text == "" {
		r.Text = "I have nothing to say to that."
		if r.Finish == FinishStopped {
			r.Text = "Stopped."
		}
	}
	return r
}

// earlier returns what was said before a message.
func (s *Service) earlier(ctx context.Context, m Message) ([]Message, error) {
	history, err := s.opts.Store.Messages(ctx, m.RoomID, m.Seq, s.opts.History)
	if err != nil {
		return nil, fmt.Errorf("reading earlier messages: %w", err)
	}
	return history, nil
}
