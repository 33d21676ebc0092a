package journal_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// A run that could not be created is nobody's trouble later on.
func TestRepairForgetsWhatWasNeverStored(t *testing.T) {
	f := newFixture(t)
	s := &breakable{Store: f.db.Workflows()}
	f.build(s, journal.Options{})
	s.broken.Store(true)
	w, err := f.svc.Create(t.Context(), admin, "acme", "W", linear(t, startNode))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.svc.Execute(t.Context(), member, w.ID, nil); err == nil {
		t.Fatal("it was executed without a store")
	}
	s.broken.Store(false)
	if err := f.eng.Resume(t.Context()); err != nil {
		t.Error(err)
	}
}

// picky is a store that cannot keep the entries of some runs.
type picky struct {
	workflow.Store
	sound atomic.Bool
}

func (s *picky) Write(ctx context.Context, writes []workflow.Write) ([]error, error) {
	for _, w := range writes {
		for _, e := range w.Entries {
			if !s.sound.Load() && strings.Contains(string(e.Data), "poison") {
				return nil, errors.New("poison")
			}
		}
	}
	return s.Store.Write(ctx, writes)
}

// Runs whose logs cannot be written keep no others from being taken up.
func TestBrokenRunsAmongOthers(t *testing.T) {
	f := newFixture(t)
	s := &picky{Store: f.db.Workflows()}
	f.build(s, journal.Options{})
	for range 3 {
		f.run(linear(t, startNode, `{"type":"delay","data":{"delayMs":1}}`, transform("'poi' + 'son'", "x")), nil)
	}
	var runs []workflow.Run
	for range 5 {
		runs = append(runs, f.run(linear(t, startNode, form), nil))
	}
	for _, r := range runs {
		if err := f.svc.Submit(t.Context(), member, r, workflow.Input{Data: map[string]any{"ok": true, "name": "poison"}}); err == nil || !strings.Contains(err.Error(), "poison") {
			t.Fatalf("it was stored: %v", err)
		}
	}
	eventually.True(t, func() bool { return f.eng.Counts().Live == 0 })
	for range 2 {
		if err := f.eng.Resume(t.Context()); err == nil {
			t.Error("nobody hears of the runs that go on nowhere")
		}
		if n := f.eng.Counts().Live; n != len(runs) {
			t.Errorf("%d runs go on, want %d", n, len(runs))
		}
	}
	s.sound.Store(true)
	if err := f.eng.Resume(t.Context()); err != nil {
		t.Error(err)
	}
	eventually.True(t, func() bool { return f.eng.Counts().Live == len(runs) })
}
