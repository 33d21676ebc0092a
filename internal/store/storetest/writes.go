package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

const completed = `{"status":"COMPLETED"}`

// writes are of many runs at once, and what is wrong with one concerns no
// other.
func writes(t *testing.T, s store.Workflows) {
	ctx, tenant := t.Context(), uuid.NewString()
	prepared, over, elsewhere := newRun(tenant, "one"), newRun(tenant, "one"), newRun(tenant, "two")
	nobody, begun, ended, poisoned, twisted, fresh := newRun(tenant, "one"), newRun(tenant, "one"), newRun(tenant, "one"), newRun(tenant, "one"), newRun(tenant, "one"), newRun(tenant, "one")
	twisted.Title = "a\x00b"
	refused, err := s.Write(ctx, []workflow.Write{
		creation(prepared), creation(elsewhere), creation(over, entry(2, interpreter.RunEnded, `{"status":"STOPPED","error":"enough"}`)),
	})
	check(t, err)
	same(t, refused, make([]error, 3))
	got, n := read(t, s, prepared.ID)
	same(t, got, prepared)
	same(t, n, 1)
	got, _ = read(t, s, over.ID)
	over.Status, over.Error, over.EndedAt = events.RunStopped, "enough", now
	same(t, got, over)

	robbed := addition(elsewhere, entry(2, interpreter.NodeDispatched, ""))
	robbed.Owner = "one"
	odd := entry(2, interpreter.NodeCompleted, "")
	odd.Data = json.RawMessage("\"\xff\"")
	refused, err = s.Write(ctx, []workflow.Write{
		addition(prepared, entry(2, interpreter.NodeDispatched, "")),
		addition(over, entry(3, interpreter.SystemSet, "")),
		robbed,
		creation(fresh, entry(2, interpreter.NodeDispatched, ""), entry(3, interpreter.NodeCompleted, `{}`)),
		addition(nobody, entry(1, interpreter.SystemSet, "")),
		creation(ended, entry(2, interpreter.RunEnded, completed)),
		creation(poisoned, odd),
		creation(twisted),
		creation(begun),
	})
	check(t, err)
	for i, want := range []error{nil, workflow.ErrNotFound, workflow.ErrLost, nil, workflow.ErrNotFound, nil} {
		is(t, refused[i], want)
	}
	for _, i := range []int{6, 7} {
		if e, meant := events.Public(refused[i]); !meant || e.Code != events.CodeValidation {
			t.Errorf("what cannot be stored: %v", refused[i])
		}
	}
	check(t, refused[8])
	for _, want := range []struct {
		run    workflow.Run
		status events.RunStatus
		n      int
	}{
		{prepared, events.RunRunning, 2},
		{over, events.RunStopped, 2},
		{elsewhere, events.RunPending, 1},
		{fresh, events.RunRunning, 3},
		{ended, events.RunCompleted, 2},
		{begun, events.RunPending, 1},
	} {
		got, n := read(t, s, want.run.ID)
		same(t, got.Status, want.status)
		same(t, n, want.n)
	}
	for _, r := range []workflow.Run{nobody, poisoned, twisted} {
		_, err := s.Run(ctx, r.ID)
		is(t, err, workflow.ErrNotFound)
		log, err := s.Log(ctx, r.ID, 0)
		check(t, err)
		same(t, len(log), 0)
	}

	// One that exists is left as it is, in whatever state.
	for _, r := range []workflow.Run{begun, ended, elsewhere} {
		again := r
		again.Title = "another"
		is(t, write(t, s, creation(again, entry(2, interpreter.NodeDispatched, ""))), workflow.ErrExists)
		got, _ := read(t, s, r.ID)
		same(t, got.Title, r.Title)
	}
	if _, err := s.Write(ctx, []workflow.Write{addition(begun, entry(2, interpreter.SystemSet, "")), addition(begun, entry(3, interpreter.SystemSet, ""))}); err == nil {
		t.Error("a run was in a batch twice")
	}
	// Nothing of a batch that fails is left.
	if _, err := s.Write(ctx, []workflow.Write{addition(begun, entry(2, interpreter.SystemSet, "")), addition(prepared, entry(2, interpreter.SystemSet, ""))}); err == nil {
		t.Error("an entry was stored twice")
	}
	_, n = read(t, s, begun.ID)
	same(t, n, 1)
	refused, err = s.Write(ctx, nil)
	check(t, err)
	same(t, len(refused), 0)
	// An error that is no text for a database does not keep a run from ending.
	check(t, write(t, s, addition(begun, entry(2, interpreter.RunEnded, `{"status":"FAILED","error":"a\u0000b"}`))))
	got, _ = read(t, s, begun.ID)
	same(t, got.Error, "a\uFFFDb")
	large(t, s, tenant)
}

// large is a batch of more runs and entries than one statement takes.
func large(t *testing.T, s store.Workflows, tenant string) {
	var all []workflow.Write
	for i := range 230 {
		r := newRun(tenant, "one")
		var more []interpreter.Entry
		for n := range i % 7 {
			more = append(more, entry(uint64(n+2), interpreter.NodeCompleted, fmt.Sprintf(`{"output":%d}`, i)))
		}
		all = append(all, creation(r, more...))
	}
	refused, err := s.Write(t.Context(), all)
	check(t, errors.Join(append(refused, err)...))
	for i, w := range all {
		next := entry(uint64(len(w.Entries)+1), interpreter.RunEnded, completed)
		all[i] = addition(*w.Create, next)
	}
	refused, err = s.Write(t.Context(), all)
	check(t, errors.Join(append(refused, err)...))
	for i, w := range all {
		if i%50 != 49 {
			continue
		}
		r, n := read(t, s, w.RunID)
		same(t, r.Status, events.RunCompleted)
		same(t, n, i%7+2)
	}
}

// repeated are writes of which nobody knows whether they were done.
func repeated(t *testing.T, s store.Workflows) {
	tenant := uuid.NewString()
	r, other := newRun(tenant, "one"), newRun(tenant, "two")
	again := func(w workflow.Write, want error, status events.RunStatus, entries int) {
		t.Helper()
		w.Repeated = true
		is(t, write(t, s, w), want)
		got, n := read(t, s, r.ID)
		same(t, got.Status, status)
		same(t, n, entries)
	}
	check(t, write(t, s, creation(other)))
	made := creation(r)
	again(made, nil, events.RunPending, 1) // was not done
	again(made, nil, events.RunPending, 1) // was done
	two, three := entry(2, interpreter.NodeDispatched, ""), entry(3, interpreter.NodeCompleted, `{}`)
	again(addition(r, three), workflow.ErrGap, events.RunPending, 1)
	again(addition(r, entry(4, interpreter.RunEnded, completed)), workflow.ErrGap, events.RunPending, 1)
	again(addition(r, two), nil, events.RunRunning, 2)
	again(addition(r, two, three), nil, events.RunRunning, 3)
	again(creation(r, two, three), nil, events.RunRunning, 3)
	last := addition(r, two, three, entry(4, interpreter.RunEnded, completed))
	again(last, nil, events.RunCompleted, 4)
	again(last, nil, events.RunCompleted, 4) // was done, though the run is over
	again(addition(r, entry(5, interpreter.SystemSet, "")), workflow.ErrNotFound, events.RunCompleted, 4)

	foreign := other
	foreign.Owner = "one"
	again(creation(foreign, two), workflow.ErrExists, events.RunCompleted, 4)
	stolen := addition(other, entry(1, interpreter.InputSet, `{}`))
	stolen.Owner = "one"
	again(stolen, workflow.ErrLost, events.RunCompleted, 4)
	again(addition(newRun(tenant, "one"), two), workflow.ErrNotFound, events.RunCompleted, 4)

	// In one batch with others.
	late, fresh := addition(other, entry(3, interpreter.SystemSet, "")), newRun(tenant, "one")
	late.Repeated, last.Repeated = true, true
	refused, err := s.Write(t.Context(), []workflow.Write{last, late, creation(fresh)})
	check(t, err)
	check(t, errors.Join(refused[0], refused[2]))
	is(t, refused[1], workflow.ErrGap)
}
