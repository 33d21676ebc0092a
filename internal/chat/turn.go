package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	start := startOf(t.Message)
	head, stopped, err := s.awaitTurn(ctx, t.Message, start)
	if err != nil {
		return nil, false, err
	}
	out = newStream(s, t, head)
	start.Seq, start.Prev = head, head-1
	s.publishEntry(t.Room.ID, start)
	s.typing(t.Room.ID, true)
	return out, stopped, nil
}

func startOf(m Message) Entry {
	return payload(StreamStart, m.Seq, events.AIChatBotStreamStart{ChatRoomID: m.RoomID, ReplyTo: m.Seq})
}

// awaitTurn begins a turn in the store, when no other of its room is to be taken
// before.
func (s *Service) awaitTurn(ctx context.Context, m Message, start Entry) (head uint64, stopped bool, err error) {
	log := s.opts.Logger.With("room", m.RoomID)
	for pause := busyPause; ; pause = min(2*pause, maxBusyPause) {
		err = s.untilStored(ctx, log, func(ctx context.Context) error {
			head, stopped, err = s.opts.Store.BeginTurn(ctx, m, start)
			return err
		})
		if !errors.Is(err, ErrBusy) {
			return head, stopped, err
		}
		select {
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
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
	case isRefusal(err):
		return Reply{Text: err.Error(), Finish: FinishRefused, Model: r.Model, Usage: r.Usage}
	case errors.Is(cause, ErrStopped):
		r.Finish, r.Propose = FinishStopped, nil
	case err != nil:
		r.Finish, r.Propose = FinishError, nil
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
			r.Text = silenced
		}
	}
	return r
}

// earlier returns what was said before a message, and the answers to that, which
// may have come while the message waited. What was refused is left out: no model
// is to see that.
func (s *Service) earlier(ctx context.Context, m Message) ([]Message, error) {
	latest, err := s.opts.Store.Messages(ctx, m.RoomID, 0, s.opts.History+s.opts.Waiting)
	if err != nil {
		return nil, fmt.Errorf("reading earlier messages: %w", err)
	}
	history := slices.DeleteFunc(latest, func(said Message) bool {
		return said.Speaker == User && said.Seq >= m.Seq || said.Finish == FinishRefused
	})
	return history[max(0, len(history)-s.opts.History):], nil
}
