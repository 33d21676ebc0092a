package external

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A Receipt says what became of a report.
type Receipt struct {
	Accepted int `json:"accepted"` // events that are new
	Repeated int `json:"repeated"` // those that were there before
	// Offset is the number of the latest entry of the run.
	Offset uint64 `json:"offset"`
	// Next is the sequence that comes next.
	Next uint64 `json:"next"`
}

// A Gap is the error for a report that leaves something out. Nothing of it was
// stored.
type Gap struct {
	Refusal  *events.Error
	Expected uint64 // the sequence that comes next
}

func (g *Gap) Error() string { return g.Refusal.Message }

// Unwrap returns what the client is told.
func (g *Gap) Unwrap() error { return g.Refusal }

// Report adds events to a run of this engine: all of them, or none and an
// error. Those that were reported before change nothing; a report whose answer
// was lost is to be sent again.
func (e *Engine) Report(ctx context.Context, run workflow.Run, list []Event) (Receipt, error) {
	entries, err := e.entries(run.ID, list)
	if err != nil {
		return Receipt{}, err
	}
	r := e.take(run)
	defer e.giveBack(r)
	var receipt Receipt
	err = e.append(ctx, r, func() ([]interpreter.Entry, error) {
		fresh, err := e.fresh(ctx, r, list, entries)
		receipt.Accepted, receipt.Repeated = len(fresh), len(list)-len(fresh)
		return fresh, err
	})
	receipt.Offset, receipt.Next = r.m.Seq(), r.reported+1
	return receipt, err
}

// entries checks events and returns what they become.
func (e *Engine) entries(runID string, list []Event) ([]interpreter.Entry, error) {
	switch {
	case len(list) == 0:
		return nil, events.FieldErrorf("events", "is empty: send at least one")
	case len(list) > e.opts.MaxBatch:
		return nil, events.FieldErrorf("events", "has %d, more than publish.maxBatch, which is %d: send them in several reports", len(list), e.opts.MaxBatch)
	}
	all, requests := make([]interpreter.Entry, len(list)), map[string]bool{}
	for i, ev := range list {
		switch {
		case ev.Sequence == 0:
			return nil, events.FieldErrorf(at(i)+".sequence", "is missing: events are numbered from 1")
		case i > 0 && ev.Sequence != list[i-1].Sequence+1:
			return nil, events.FieldErrorf(at(i)+".sequence", "is %d after %d: the events of a report follow on each other", ev.Sequence, list[i-1].Sequence)
		case i > 0 && list[i-1].Type == StatusUpdate:
			return nil, events.FieldErrorf(at(i), "comes after the end of the run")
		}
		entry, err := e.entry(runID, ev)
		if err != nil {
			return nil, within(i, err)
		}
		if entry.Request != "" && requests[entry.Request] {
			return nil, taken(i)
		}
		all[i], requests[entry.Request] = entry, true
	}
	return all, nil
}

// at is what an event of a report is called.
func at(i int) string { return fmt.Sprintf("events[%d]", i) }

// within makes the field that an error names one of an event.
func within(i int, err error) error {
	var f *events.Error
	if !errors.As(err, &f) {
		return err
	}
	if f.Field == "" || f.Field == "payload" {
		return &events.Error{Code: f.Code, Field: at(i), Message: at(i) + ": " + strings.TrimPrefix(f.Message, "payload: ")}
	}
	return &events.Error{Code: f.Code, Field: at(i) + "." + f.Field, Message: at(i) + "." + f.Message}
}

func taken(i int) error {
	field := at(i) + ".collectionRequestID"
	return &events.Error{Code: events.CodeConflict, Field: field, Message: field + ": was used for another request: choose a new one"}
}

// fresh returns the entries that the log does not have, numbered as they follow
// on it.
func (e *Engine) fresh(ctx context.Context, r *record, list []Event, entries []interpreter.Entry) ([]interpreter.Entry, error) {
	first, last := list[0].Sequence, list[len(list)-1].Sequence
	known := 0
	if first <= r.reported {
		known = int(min(r.reported, last)-first) + 1
		if err := e.compare(ctx, r, first, entries[:known]); err != nil {
			return nil, err
		}
	}
	switch end := r.m.Ended(); {
	case known == len(entries):
		return nil, nil
	case end != nil:
		return nil, events.Errorf(events.CodeConflict, "run %s is %s and takes no events", r.run.ID, end.Status)
	case first > r.reported+1:
		return nil, &Gap{Expected: r.reported + 1, Refusal: &events.Error{
			Code: events.CodeConflict, Field: "events[0].sequence",
			Message: fmt.Sprintf("events[0].sequence: is %d, but %d comes next", first, r.reported+1),
		}}
	}
	now, fresh := e.now(), append([]interpreter.Entry{}, entries[known:]...)
	for i := range fresh {
		if err := e.unused(ctx, r, fresh[i].Request, known+i); err != nil {
			return nil, err
		}
		fresh[i].Seq, fresh[i].At = r.m.Seq()+1+uint64(i), now
	}
	return fresh, nil
}

// unused reports whether a request has an id that was used before.
func (e *Engine) unused(ctx context.Context, r *record, request string, i int) error {
	if request == "" {
		return nil
	}
	of, err := e.opts.Store.RunOfRequest(ctx, r.run.Tenant, request)
	switch {
	case errors.Is(err, workflow.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("looking up request: %w", err)
	case of.ID == r.run.ID && !r.requests[request]:
		return nil // somebody has just reported the same, as will be seen
	}
	return taken(i)
}

// compare refuses events that were reported before if they said something else.
func (e *Engine) compare(ctx context.Context, r *record, first uint64, entries []interpreter.Entry) error {
	// The first entry of a log is the input: what the reporter numbers n comes
	// after the n-th.
	log, err := e.opts.Store.Log(ctx, r.run.ID, first)
	if err != nil {
		return fmt.Errorf("reading log: %w", err)
	}
	for _, stored := range log {
		n := sequence(stored)
		if n < first || n >= first+uint64(len(entries)) {
			continue
		}
		if i := n - first; !same(stored, entries[i]) {
			name := at(int(i))
			return &events.Error{
				Code: events.CodeConflict, Field: name,
				Message: fmt.Sprintf("%s: sequence %d was reported before and said something else", name, n),
			}
		}
	}
	return nil
}

// same reports whether two entries say the same, however it is written.
func same(a, b interpreter.Entry) bool {
	if a.Type != b.Type || a.Node != b.Node {
		return false
	}
	return bytes.Equal(a.Data, b.Data) || reflect.DeepEqual(value(a.Data), value(b.Data))
}

// value decodes JSON, with numbers as they are written.
func value(raw json.RawMessage) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	d.Decode(&v) // it was encoded here
	return v
}
