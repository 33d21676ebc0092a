package namespaces

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

type order struct {
	ClientMessage
	N int `json:"n"`
}

func TestHandleOnce(t *testing.T) {
	db := sqlitetest.Open(t)
	logger := slog.New(slog.DiscardHandler)
	svc := once.New(once.Options{Store: db.Once(), Logger: logger})
	times, placed := 0, 0
	place := func(_ context.Context, _ Session, in order) (out, error) {
		if in.N < 0 {
			return out{}, events.Errorf(events.CodeConflict, "not now")
		}
		times++
		return out{Twice: 2*in.N + times}, nil
	}
	again := func(_ context.Context, s Session, in order, first out) error {
		if s == nil || in.N == 0 || first.Twice == 0 {
			t.Errorf("again with %v %+v %+v", s, in, first)
		}
		placed++
		return nil
	}
	r := NewRouter(Namespace{Name: "/", Routes: []Route{HandleOnce(svc, "order", place, again), HandleOnce(nil, "lone", place, nil)}},
		RouterOptions{Contract: lax{}, Logger: logger})
	for _, tt := range []struct{ event, arg, want string }{
		{"lone", `{"n":1}`, `{"ok":true,"twice":3}`}, // without an id nobody is asked
		{"order", `{"n":1}`, `{"ok":true,"twice":4}`},
		{"order", `{"n":1}`, `{"ok":true,"twice":5}`},
		{"order", `{"n":1,"clientMessageID":"a"}`, `{"ok":true,"twice":6}`},
		{"order", `{"n":1,"clientMessageID":"a"}`, `{"ok":true,"twice":6}`},
		{"order", ` { "clientMessageID":"a", "n":1 } `, `{"ok":true,"twice":6}`},
		{"order", `{"n":2,"clientMessageID":"a"}`, `"code":"CONFLICT","message":"clientMessageID: was used with another payload: choose a new one","field":"clientMessageID"`},
		{"order", `{"n":2,"clientMessageID":"b"}`, `{"ok":true,"twice":9}`},
		{"order", `{"n":-1,"clientMessageID":"c"}`, `"not now"`},
		{"order", `{"n":-1,"clientMessageID":"c"}`, `"not now"`},
		{"order", `{"n":1,"clientMessageID":"a\n"}`, `"field":"clientMessageID"`},
	} {
		reply := string(r.Dispatch(t.Context(), &recorder{id: "s"}, tt.event, []json.RawMessage{json.RawMessage(tt.arg)}, true))
		if !strings.Contains(reply, tt.want) {
			t.Errorf("%s %s: %s, want %s", tt.event, tt.arg, reply, tt.want)
		}
	}
	if times != 5 || placed != 2 {
		t.Errorf("happened %d times, %d sessions were placed", times, placed)
	}
}
