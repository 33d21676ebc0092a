package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/link"
)

// How long is waited before the next attempt to connect.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Follow joins the room of a run over Socket.IO and calls heard whenever
// something may have happened in it: at each event, and after each loss of the
// connection. It connects again, and asks for what came since what it had, until
// ctx ends or the server refuses.
func (s *Server) Follow(ctx context.Context, r Run, heard func()) error {
	f := follower{server: s, run: r, heard: heard}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := f.follow(ctx)
		if errors.Is(err, errRefused) || ctx.Err() != nil {
			return err
		}
		if f.joined {
			pause, f.joined = firstPause, false
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var (
	errRefused = errors.New("the server refuses")
	errGone    = errors.New("the connection is gone")
)

// A follower is one client through its connections.
type follower struct {
	server *Server
	run    Run
	heard  func()

	since  events.Since // what it has, once it knows the epoch
	joined bool
	link   link.Link
	alive  time.Duration // how long the server may be silent
}

// follow connects, and returns when the connection is lost.
func (f *follower) follow(ctx context.Context) error {
	l, err := link.Dial(ctx, f.server.opts.URL, false)
	if err != nil {
		return err
	}
	defer l.Cut()
	defer context.AfterFunc(ctx, l.Cut)()
	f.link, f.alive = l, link.DialTimeout
	for {
		l.Until(time.Now().Add(f.alive))
		packet, err := l.Next()
		if err != nil {
			return err
		}
		if err := f.packet(packet); err != nil {
			return err
		}
	}
}

func (f *follower) packet(b []byte) error {
	switch {
	case len(b) == 0:
		return nil
	case b[0] == '0':
		return f.opened(b[1:])
	case b[0] == '1':
		return errGone
	case b[0] == '2':
		return f.link.Send([]byte("3"))
	case b[0] != '4' || len(b) < 2:
		return nil
	}
	switch body := b[2:]; b[1] {
	case '0':
		return f.join()
	case '1':
		return errGone
	case '2':
		f.event(body)
	case '3':
		return f.acked(body)
	case '4':
		return fmt.Errorf("%w: %s", errRefused, body)
	}
	return nil
}

func (f *follower) opened(raw []byte) error {
	var hello struct{ PingInterval, PingTimeout int }
	if err := json.Unmarshal(raw, &hello); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	f.alive = time.Duration(hello.PingInterval+hello.PingTimeout) * time.Millisecond
	auth := map[string]string{}
	if f.server.opts.Token != "" {
		auth["token"] = f.server.opts.Token
	}
	if f.server.opts.APIKey != "" {
		auth["apiKey"] = f.server.opts.APIKey
	}
	raw, _ = json.Marshal(auth) // of texts
	return f.link.Send(append([]byte("40"), raw...))
}

// join asks for the room, and for what came after what is known.
func (f *follower) join() error {
	payload := map[string]any{"runId": f.run.ID}
	if f.since.Epoch != "" {
		payload["since"] = f.since
	}
	raw, err := json.Marshal([]any{"workflow_run_join", payload})
	if err != nil {
		return err
	}
	return f.link.Send(append([]byte("421"), raw...))
}

func (f *follower) acked(body []byte) error {
	var acks []struct {
		OK    *bool
		Error json.RawMessage
		events.Since
	}
	at := bytes.IndexByte(body, '[')
	if at < 0 || json.Unmarshal(body[at:], &acks) != nil || len(acks) == 0 {
		return fmt.Errorf("acknowledgement %.100q", body)
	}
	ack := acks[0]
	if ack.OK != nil && !*ack.OK {
		return fmt.Errorf("%w: %s", errRefused, ack.Error)
	}
	if ack.Epoch != f.since.Epoch {
		f.since = events.Since{Epoch: ack.Epoch}
	}
	f.since.Offset = max(f.since.Offset, ack.Offset)
	f.joined = true
	f.heard()
	return nil
}

func (f *follower) event(body []byte) {
	var args []json.RawMessage
	var at struct{ Offset uint64 }
	if json.Unmarshal(body, &args) == nil && len(args) > 1 && json.Unmarshal(args[1], &at) == nil {
		f.since.Offset = max(f.since.Offset, at.Offset)
	}
	f.heard()
}
