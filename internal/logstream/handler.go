package logstream

import (
	"context"
	"log/slog"
	"time"
)

// Handler returns a slog.Handler that writes to next and to the stream. Lines
// that next would not write go nowhere.
func (s *Stream) Handler(next slog.Handler) slog.Handler {
	return &handler{stream: s, next: next}
}

type handler struct {
	stream *Stream
	next   slog.Handler
	groups []string    // open groups
	attrs  []groupAttr // attributes of the logger
}

type groupAttr struct {
	groups []string
	attr   slog.Attr
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.next = h.next.WithAttrs(redactAll(attrs))
	c.attrs = append([]groupAttr(nil), h.attrs...)
	for _, a := range attrs {
		c.attrs = append(c.attrs, groupAttr{h.groups, a})
	}
	return &c
}

func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.next = h.next.WithGroup(name)
	c.groups = append(append([]string(nil), h.groups...), name)
	return &c
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	fields := map[string]any{}
	for _, a := range h.attrs {
		put(inside(fields, a.groups), a.attr)
	}
	clean := slog.NewRecord(r.Time, r.Level, cleanText(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		put(inside(fields, h.groups), a)
		clean.AddAttrs(redact(a))
		return true
	})
	tenant, _ := fields["tenant"].(string)
	fields["message"] = clean.Message
	h.stream.add(Line{Time: r.Time, Level: r.Level, Tenant: tenant, Shared: tenant == "" && !aboutSomebody(fields), Content: content(fields)})
	return h.next.Handle(ctx, clean)
}

// personal are the keys of lines about somebody, whose tenant may be anyone's.
var personal = []string{"user", "session", "address", "path", "room", "run", "workflow", "error"}

func aboutSomebody(fields map[string]any) bool {
	for _, key := range personal {
		if _, ok := fields[key]; ok {
			return true
		}
	}
	return false
}

// inside returns the map of a group, making it if need be.
func inside(fields map[string]any, groups []string) map[string]any {
	for _, g := range groups {
		inner, ok := fields[g].(map[string]any)
		if !ok {
			inner = map[string]any{}
			fields[g] = inner
		}
		fields = inner
	}
	return fields
}

// put adds an attribute to a map of fields, without secrets.
func put(fields map[string]any, a slog.Attr) {
	a = redact(a)
	if a.Equal(slog.Attr{}) {
		return
	}
	if a.Value.Kind() == slog.KindGroup {
		inner := fields
		if a.Key != "" {
			inner = inside(fields, []string{a.Key})
		}
		for _, g := range a.Value.Group() {
			put(inner, g)
		}
		return
	}
	fields[a.Key] = plain(a.Value)
}

// plain returns a value that JSON can hold.
func plain(v slog.Value) any {
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	}
	return v.Any() // redact has made texts of errors and the like
}
