package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/runview"
)

// An asker answers what a run asks for: from the command line, or by asking
// whoever sits at the terminal.
type asker struct {
	answers map[string]any // by node
	in      *bufio.Reader  // nil if nobody can be asked
	out     io.Writer
	// screen is what the questions come below, nil if there is none.
	screen *runview.Screen
}

// parseAnswers reads NODE=JSON.
func parseAnswers(list []string) (map[string]any, error) {
	answers := map[string]any{}
	for _, text := range list {
		node, raw, found := strings.Cut(text, "=")
		var v any
		if !found || node == "" || json.Unmarshal([]byte(raw), &v) != nil {
			return nil, usage(fmt.Errorf(`--answer: %q is not NODE=JSON, such as review='{"decision":"approve"}'`, text))
		}
		answers[node] = v
	}
	return answers, nil
}

// answer answers one request. Who answers wrongly at a terminal is asked again.
func (a *asker) answer(ctx context.Context, run followed, title string, r events.WorkflowDataCollectionRequest) error {
	given, found := a.answers[r.NodeID]
	switch {
	case found:
		if err := run.Submit(ctx, r.CollectionRequestID, given); err != nil && !late(err) {
			return fmt.Errorf("--answer %s: %w", r.NodeID, err)
		}
		return nil
	case a.in == nil:
		return usage(fmt.Errorf("node %s asks for input: give it with --answer %s='…', in JSON, or run this in a terminal", r.NodeID, r.NodeID))
	}
	if a.screen != nil {
		a.screen.Keep()
	}
	fmt.Fprintf(a.out, "\n%s\n", orElse(r.CollectionConfig.Title, title))
	if d := r.CollectionConfig.Description; d != "" {
		fmt.Fprintln(a.out, d)
	}
	for {
		data, err := a.ask(r.CollectionConfig)
		if err != nil {
			return err
		}
		err = run.Submit(ctx, r.CollectionRequestID, data)
		var e *events.Error
		if !errors.As(err, &e) || e.Code != events.CodeValidation {
			if late(err) {
				return nil
			}
			return err
		}
		fmt.Fprintf(a.out, "  that does not fit: %s\n", e.Message)
	}
}

// late reports whether an answer came when nobody waited for it any more; what
// became of the request is in the log.
func late(err error) bool {
	var e *events.Error
	return errors.As(err, &e) && (e.Code == events.CodeNotFound || e.Code == events.CodeConflict)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// form is what is understood of a JSON Schema.
type form struct {
	Required   []string         `json:"required"`
	Properties map[string]field `json:"properties"`
}

type field struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	Enum  []any  `json:"enum"`
}

// ask asks for each property of a form, or for JSON if it is none.
func (a *asker) ask(c events.CollectionConfig) (any, error) {
	var f form
	if len(c.FormSchema) > 0 {
		json.Unmarshal(c.FormSchema, &f) // whatever is not understood is asked for as JSON
	}
	if len(f.Properties) == 0 {
		return a.askJSON()
	}
	data := map[string]any{}
	for _, name := range f.order() {
		p := f.Properties[name]
		text, err := a.read(p.prompt(name, slices.Contains(f.Required, name)))
		if err != nil {
			return nil, err
		}
		if text != "" {
			data[name] = p.value(text)
		}
	}
	return data, nil
}

func (a *asker) askJSON() (any, error) {
	for {
		text, err := a.read("  input, as JSON: ")
		if err != nil {
			return nil, err
		}
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			return v, nil
		}
		fmt.Fprintln(a.out, "  that is not JSON")
	}
}

// order is that of the required properties, and then of the names.
func (f form) order() []string {
	names := slices.Sorted(maps.Keys(f.Properties))
	slices.SortStableFunc(names, func(x, y string) int {
		i, j := slices.Index(f.Required, x), slices.Index(f.Required, y)
		switch {
		case i < 0 && j < 0:
			return 0
		case i < 0:
			return 1
		case j < 0:
			return -1
		}
		return i - j
	})
	return names
}

func (f field) prompt(name string, required bool) string {
	hint := f.Type
	if len(f.Enum) > 0 {
		var choices []string
		for _, v := range f.Enum {
			choices = append(choices, fmt.Sprint(v))
		}
		hint = strings.Join(choices, " or ")
	}
	if !required {
		hint = strings.TrimPrefix(hint+", or nothing", ", ")
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return "  " + orElse(f.Title, name) + hint + ": "
}

// value is what was typed, as the type that is wanted if it is one: what does
// not fit is refused by who asked.
func (f field) value(text string) any {
	if f.Type == "string" {
		return text
	}
	if len(f.Enum) > 0 {
		for _, v := range f.Enum {
			if fmt.Sprint(v) == text {
				return v
			}
		}
		return text
	}
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}

// read asks for a line.
func (a *asker) read(prompt string) (string, error) {
	fmt.Fprint(a.out, prompt)
	text, err := a.in.ReadString('\n')
	if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(text), nil
}
