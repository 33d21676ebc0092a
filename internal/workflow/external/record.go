package external

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A record is how far a run is, as far as this instance has read its log.
type record struct {
	run   workflow.Run
	users int       // who has it, or waits for it; guarded by the engine's mutex
	used  time.Time // last; guarded by the engine's mutex

	mu       sync.Mutex // held while entries are made, stored and published
	m        *interpreter.Machine
	updates  *workflow.Updates
	latest   []workflow.Update // one at most
	reported uint64            // the number of the latest event of the reporter
	requests map[string]bool   // for input, answered or not
}

// machine returns the machine of a run without entries.
func machine(run workflow.Run, maxResult int) *interpreter.Machine {
	return interpreter.New(run.Plan, interpreter.Options{RunID: run.ID, Tenant: run.Tenant, User: run.StartedBy, MaxResult: maxResult})
}

// take returns the record of a run and locks it.
func (e *Engine) take(run workflow.Run) *record {
	e.mu.Lock()
	r := e.records[run.ID]
	if r == nil {
		r = &record{run: run, m: machine(run, e.opts.MaxResult), requests: make(map[string]bool)}
		r.updates = workflow.NewUpdates(run, r.m)
		e.records[run.ID] = r
	}
	r.users++
	e.mu.Unlock()
	r.mu.Lock()
	return r
}

// giveBack unlocks a record, and forgets it if the run is over, or the one that
// was used longest ago if there are too many.
func (e *Engine) giveBack(r *record) {
	r.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	r.users--
	r.used = time.Now()
	if r.users == 0 && r.m.Ended() != nil {
		delete(e.records, r.run.ID)
	}
	if len(e.records) <= e.opts.Keep {
		return
	}
	var oldest *record
	for _, r := range e.records {
		if r.users == 0 && (oldest == nil || r.used.Before(oldest.used)) {
			oldest = r
		}
	}
	if oldest != nil {
		delete(e.records, oldest.run.ID)
	}
}

// read goes on to the end of the log, and reports whether there was more.
func (r *record) read(ctx context.Context, store workflow.Store) (grown bool, err error) {
	log, err := store.Log(ctx, r.run.ID, r.m.Seq())
	if err != nil {
		return false, fmt.Errorf("reading log: %w", err)
	}
	last := len(log) - 1
	for last >= 0 && !log[last].Visible() {
		last--
	}
	for i, entry := range log {
		r.apply(entry)
		if i == last {
			r.updates.Add(entry)
			r.latest = r.updates.Take()
		}
	}
	return len(log) > 0, nil
}

// add takes entries that were added to the log, and returns what clients are
// to be told.
func (r *record) add(entries []interpreter.Entry) []workflow.Update {
	for _, entry := range entries {
		r.apply(entry)
		r.updates.Add(entry)
	}
	list := r.updates.Take()
	if n := len(list); n > 0 {
		r.latest = slices.Clone(list[n-1:]) // the others are not kept
	}
	return list
}

func (r *record) apply(entry interpreter.Entry) {
	r.m.Apply(entry)
	r.reported = max(r.reported, sequence(entry))
	if entry.Type == interpreter.NodeSuspended {
		r.requests[interpreter.Decode[interpreter.Suspension](entry).RequestID] = true
	}
}

// again returns another machine that is as far as the record.
func (r *record) again(ctx context.Context, opts Options) (*interpreter.Machine, error) {
	log, err := opts.Store.Log(ctx, r.run.ID, 0)
	if err != nil {
		return nil, fmt.Errorf("reading log: %w", err)
	}
	m := machine(r.run, opts.MaxResult)
	for _, entry := range log {
		if entry.Seq <= r.m.Seq() {
			m.Apply(entry)
		}
	}
	return m, nil
}

// sequence is the reporter's number of an entry, 0 if it is not the reporter's.
func sequence(entry interpreter.Entry) uint64 {
	var data struct {
		Reported uint64 `json:"reported"`
	}
	if entry.Type != interpreter.InputSet { // that is whatever people said
		json.Unmarshal(entry.Data, &data)
	}
	return data.Reported
}

// reported returns an entry with its number by the reporter, which is kept in
// its data: that is an object and not empty.
func reported(entry interpreter.Entry, sequence uint64) interpreter.Entry {
	entry.Data = fmt.Appendf(entry.Data[:len(entry.Data)-1:len(entry.Data)-1], `,"reported":%d}`, sequence)
	return entry
}
