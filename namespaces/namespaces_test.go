package namespaces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// recorder is a session that keeps what is emitted to it.
type recorder struct {
	id      string
	emitted []events.Payload
}

func (r *recorder) ID() string                  { return r.id }
func (r *recorder) Identity() *auth.Identity    { return &auth.Identity{User: "ada"} }
func (r *recorder) Emit(p events.Payload) error { r.emitted = append(r.emitted, p); return nil }
func (r *recorder) Drain(context.Context) error { return nil }
func (r *recorder) Join(events.Room)            {}
func (r *recorder) Leave(events.Room)           {}
func (r *recorder) Follow(events.Room, uint64, func(uint64) (uint64, error)) error {
	return nil
}

// lax accepts everything but acknowledgements that say "broken".
type lax struct{}

func (lax) Inbound(string, string, []byte) error { return nil }
func (lax) Ack(_, _ string, reply []byte) error {
	if bytes.Contains(reply, []byte("broken")) {
		return events.Errorf(events.CodeValidation, "the ack is wrong")
	}
	return nil
}

type in struct {
	N int `json:"n"`
}
type out struct {
	Twice int    `json:"twice"`
	Note  string `json:"note,omitempty"`
}

func TestDispatch(t *testing.T) {
	var log bytes.Buffer
	double := func(ctx context.Context, s Session, v in) (out, error) {
		if id := auth.FromContext(ctx); id == nil || id.User != s.Identity().User {
			t.Errorf("the context carries %v", id)
		}
		switch v.N {
		case -1:
			return out{}, events.Errorf(events.CodeConflict, "not now")
		case -2:
			return out{}, errors.New("disk on fire")
		case -3:
			panic("boom")
		case -4:
			<-ctx.Done()
			return out{}, ctx.Err()
		case -5:
			return out{Note: "broken"}, nil
		}
		return out{Twice: 2 * v.N}, nil
	}
	ns := Namespace{Name: "/", Routes: []Route{
		Handle("double", double),
		Handle("empty", func(context.Context, Session, struct{}) (struct{}, error) { return struct{}{}, nil }),
		Handle("chat", double).FailingAlwaysAs(func(_ json.RawMessage, e *events.Error) events.Payload {
			return events.AIChatBotMessage{Text: e.Message}
		}),
		Handle("widget", double).FailingAs(func(arg json.RawMessage, e *events.Error) events.Payload {
			return events.WidgetWorkflowError{WidgetID: string(arg), Error: events.WidgetError{Message: e.Message}}
		}),
	}}
	r := NewRouter(ns, RouterOptions{Contract: lax{}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Timeout: 10 * time.Millisecond})
	tests := []struct {
		event, args string
		ack         bool
		reply, emit string
	}{
		{"double", `[{"n":2}]`, true, `{"ok":true,"twice":4}`, ""},
		{"double", `[]`, true, `{"ok":true,"twice":0}`, ""},
		{"empty", `[]`, true, `{"ok":true}`, ""},
		{"double", `[{"n":"x"}]`, true, `{"ok":false,"error":{"code":"VALIDATION_ERROR","message":"n: got string","field":"n"}}`, ""},
		{"double", `[{"n":1},2]`, true, `{"ok":false,"error":{"code":"VALIDATION_ERROR","message":"payload: double takes one argument, got 2","field":"payload"}}`, ""},
		{"double", `[{"n":-1}]`, true, `{"ok":false,"error":{"code":"CONFLICT","message":"not now"}}`, ""},
		{"double", `[{"n":-1}]`, false, "", `error {"code":"CONFLICT","message":"not now","event":"double"}`},
		{"double", `[{"n":-2}]`, false, "", `error {"code":"INTERNAL_ERROR","message":"internal server error","event":"double"}`},
		{"double", `[{"n":-3}]`, true, `{"ok":false,"error":{"code":"INTERNAL_ERROR","message":"internal server error"}}`, ""},
		{"double", `[{"n":-4}]`, true, `{"ok":false,"error":{"code":"TIMEOUT","message":"double took longer than 10ms"}}`, ""},
		{"double", `[{"n":-5}]`, true, `{"ok":false,"error":{"code":"INTERNAL_ERROR","message":"internal server error"}}`, ""},
		{"duoble", `[]`, false, "", `error {"code":"INVALID_REQUEST","message":"unknown event \"duoble\", did you mean \"double\"?","event":"duoble"}`},
		{"something_else", `[]`, true, `{"ok":false,"error":{"code":"INVALID_REQUEST","message":"unknown event \"something_else\""}}`, ""},
		{"chat", `[{"n":-1}]`, true, `{"ok":false,"error":{"code":"CONFLICT","message":"not now"}}`, `ai_chat_bot_message {"text":"not now"}`},
		{"widget", `[7]`, false, "", `widget_workflow_error {"widgetID":"7","error":{"code":"","message":"payload: got number","recoverable":false},"timestamp":"0001-01-01T00:00:00.000Z"}`},
	}
	for _, tt := range tests {
		var args []json.RawMessage
		json.Unmarshal([]byte(tt.args), &args)
		s := &recorder{}
		reply := r.Dispatch(t.Context(), s, tt.event, args, tt.ack)
		if tt.ack && string(reply) != tt.reply {
			t.Errorf("%s%s: reply %s, want %s", tt.event, tt.args, reply, tt.reply)
		}
		got := ""
		for _, p := range s.emitted {
			b, _ := json.Marshal(p)
			got += p.EventName() + " " + string(b)
		}
		if got != tt.emit {
			t.Errorf("%s%s: emitted %s, want %s", tt.event, tt.args, got, tt.emit)
		}
	}
	for _, want := range []string{"disk on fire", "panic: boom", "namespaces_test.go", "code=CONFLICT", "user=ada"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func TestLazyDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withLazyDeadline(t.Context(), time.Second)
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		time.Sleep(1100 * time.Millisecond)
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error("unused: ", ctx.Err())
		}
		ctx.finish()

		ctx = withLazyDeadline(t.Context(), time.Second)
		derived, stop := context.WithCancel(ctx)
		defer stop()
		start := time.Now()
		<-derived.Done()
		if took := time.Since(start); took != time.Second || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("used: after %v, %v", took, ctx.Err())
		}
		ctx.finish()

		ctx = withLazyDeadline(t.Context(), time.Second)
		ctx.finish()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error("cancelled: ", ctx.Err())
		}

		early, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		ctx = withLazyDeadline(early, time.Second)
		defer ctx.finish()
		<-ctx.Done()
		if at, _ := ctx.Deadline(); time.Until(at) > 0 {
			t.Error("the parent's deadline was lost")
		}
	})
}

// A client that is cut while a repeat is handled, and goes on with its session,
// must not hear that what it said was refused.
func TestNobodyIsToldByASessionThatHasEnded(t *testing.T) {
	failed := func(json.RawMessage, *events.Error) events.Payload { return events.Failure{} }
	ns := Namespace{Name: "/", Routes: []Route{
		Handle("say", func(context.Context, Session, struct{}) (struct{}, error) {
			return struct{}{}, fmt.Errorf("following: %w", ErrEnded)
		}).FailingAlwaysAs(failed),
	}}
	var log bytes.Buffer
	r := NewRouter(ns, RouterOptions{Contract: lax{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	s := &recorder{}
	r.Dispatch(t.Context(), s, "say", nil, true)
	if len(s.emitted) != 0 || log.Len() != 0 {
		t.Errorf("emitted %v, logged %s", s.emitted, &log)
	}
}
