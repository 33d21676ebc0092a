package logstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLinesAndRedaction(t *testing.T) {
	var out bytes.Buffer
	s := New(100)
	log := slog.New(s.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	log.Debug("not written")
	log.With("tenant", "acme", "apiKey", "k1").WithGroup("request").Info("hello",
		"n", 1, "Authorization", "Bearer s3cret", "took", time.Second,
		"headers", map[string]any{"Set-Cookie": "s3cret", "deep": []any{map[string]any{"password": "s3cret"}}},
		slog.Group("user", "name", "ada", "newToken", "s3cret"))
	log.Error("failed", "error", errors.New("boom"), "clientSecret", struct{ A string }{"s3cret"})
	lines, lost := s.Since(0)
	if len(lines) != 2 || lost != 0 {
		t.Fatalf("%d lines, %d lost", len(lines), lost)
	}
	var got map[string]any
	json.Unmarshal(lines[0].Content, &got)
	want := `{"message":"hello","apiKey":"[redacted]","request":{"Authorization":"[redacted]","headers":{"Set-Cookie":"[redacted]","deep":[{"password":"[redacted]"}]},"n":1,"took":"1s","user":{"name":"ada","newToken":"[redacted]"}},"tenant":"acme"}`
	if string(lines[0].Content) != want {
		t.Errorf("got  %s\nwant %s", lines[0].Content, want)
	}
	log.Warn("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "event", "x_eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "reason", `token: "abc" password=hunter2&x=1`, "user", "ada",
		"error", fmt.Errorf("Bearer abc.def %s", strings.Repeat("0a", 32)))
	lines, _ = s.Since(2)
	if want := `{"message":"[redacted]","error":"Bearer [redacted] [redacted]","event":"x_[redacted]","reason":"token: \"[redacted]\" password=[redacted]\u0026x=1","user":"ada"}`; string(lines[0].Content) != want || lines[0].Shared {
		t.Errorf("got  %s\nwant %s", lines[0].Content, want)
	}
	lines, _ = s.Since(0)
	if lines[0].Shared || lines[1].Shared {
		t.Error("a line about somebody is shared")
	}
	if lines[0].Tenant != "acme" || lines[1].Tenant != "" {
		t.Errorf("tenants %q %q", lines[0].Tenant, lines[1].Tenant)
	}
	if p := lines[1].Payload(); p.RoutingKey != "log.error" || !strings.Contains(string(p.Content), `"error":"boom"`) || p.Timestamp < 1e12 {
		t.Errorf("%+v", p)
	}
	log.Info("server is ready", "addresses", []string{"x"})
	if lines, _ = s.Since(3); !lines[0].Shared {
		t.Error("a line about nobody is not shared")
	}
	if strings.Contains(out.String(), "s3cret") || strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "k1") || !strings.Contains(out.String(), "tenant=acme") {
		t.Errorf("written: %s", &out)
	}
}

// Whatever a client makes the server log, a line in the ring has an end.
func TestLinesAreBounded(t *testing.T) {
	var out bytes.Buffer
	s := New(10)
	log := slog.New(s.Handler(slog.NewTextHandler(&out, nil)))
	long := strings.Repeat("ä", 1000)
	many := map[string]any{}
	for i := range 5000 {
		many[fmt.Sprint(i)] = "x"
	}
	list := make([]string, 5000)
	log.With("tenant", "acme").Info(long, "reason", "x"+long, "bad", strings.Repeat("\xff", 5000), "error", errors.New(long), "n", 1)
	log.Info("deep", "many", many, "list", list, "text", map[string]any{"a": []any{long}}, slog.Group("g", "in", long))
	args := []any{}
	for i := range 100 {
		args = append(args, fmt.Sprintf("key%d", i), long)
	}
	log.Info("wide", args...)
	lines, _ := s.Since(0)
	for _, l := range lines {
		var fields map[string]any
		if err := json.Unmarshal(l.Content, &fields); err != nil || len(l.Content) > maxLine || !utf8.Valid(l.Content) {
			t.Errorf("%v, %d bytes: %.100s…", err, len(l.Content), l.Content)
		}
	}
	var first struct {
		Message, Reason, Bad string
		N                    int
		Omitted              int
	}
	json.Unmarshal(lines[0].Content, &first)
	if len(first.Message) > maxText || !strings.HasSuffix(first.Message, "ä…") || !strings.HasSuffix(first.Reason, "ä…") || first.N != 1 || first.Omitted != 0 || lines[0].Tenant != "acme" {
		t.Errorf("%d bytes, tenant %q, %+v", len(first.Message), lines[0].Tenant, first)
	}
	if got := string(lines[1].Content); !strings.Contains(got, `"omitted":2`) || !strings.Contains(got, `"text":{"a":["ää`) {
		t.Errorf("%.200s…", got)
	}
	if !strings.Contains(string(lines[2].Content), `"omitted":9`) {
		t.Errorf("%.200s", lines[2].Content[len(lines[2].Content)-200:])
	}
	if !strings.Contains(out.String(), long) {
		t.Error("what is written was cut too")
	}
}

func TestSlowWatcherIsToldWhatItMissed(t *testing.T) {
	s := New(10)
	log := slog.New(s.Handler(slog.DiscardHandler))
	_ = log
	for range 25 {
		s.add(Line{})
	}
	if lines, lost := s.Since(0); len(lines) != 10 || lost != 15 || lines[0].Seq != 16 {
		t.Errorf("%d lines, %d lost", len(lines), lost)
	}
	if lines, lost := s.Since(25); len(lines) != 0 || lost != 0 {
		t.Errorf("%d lines, %d lost", len(lines), lost)
	}
	got := make(chan Line)
	done := make(chan error)
	go func() { done <- s.Run(t.Context(), func(l Line) { got <- l }) }()
	if l := <-got; !strings.Contains(string(l.Content), `"dropped":15`) || l.Seq != 15 {
		t.Errorf("first %s", l.Content)
	}
	for n := uint64(16); n <= 25; n++ {
		if l := <-got; l.Seq != n {
			t.Errorf("got %d, want %d", l.Seq, n)
		}
	}
	s.add(Line{})
	if l := <-got; l.Seq != 26 || s.Dropped() != 15 {
		t.Errorf("got %d, dropped %d", l.Seq, s.Dropped())
	}
}
