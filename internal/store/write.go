package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// Write implements [workflow.Store].
func (s Workflows) Write(ctx context.Context, writes []workflow.Write) ([]error, error) {
	b, err := newBatch(s.db, writes)
	if err != nil || len(b.pending) == 0 {
		return b.refused, err
	}
	err = s.db.tx(ctx, func(tx transaction) error {
		b.tx = tx
		return b.write()
	})
	if err != nil {
		return nil, err
	}
	for hash, plan := range b.definitions {
		s.db.plans.add(hash, plan) // not before it is certain that it is stored
	}
	return b.refused, nil
}

// A batch is the writes of one transaction. Rows are locked in one order,
// definitions, new runs, runs, each in that of their keys, so that two servers
// do not wait for each other.
type batch struct {
	tx          transaction
	refused     []error // for each write
	pending     []*pendingWrite
	definitions map[string]*graph.Plan // that may not be stored, by hash
}

// A pendingWrite is one that nothing speaks against so far.
type pendingWrite struct {
	workflow.Write
	index   int  // in the batch as it was given
	created bool // so that only its entries remain
}

func newBatch(db *DB, writes []workflow.Write) (batch, error) {
	b := batch{refused: make([]error, len(writes)), definitions: make(map[string]*graph.Plan)}
	for i, w := range writes {
		if w.Create != nil {
			w.RunID, w.Owner = w.Create.ID, w.Create.Owner
		}
		if b.refused[i] = storableWrite(w); b.refused[i] != nil {
			continue
		}
		b.pending = append(b.pending, &pendingWrite{Write: w, index: i})
		if w.Create != nil && db.plans.find(w.Create.Plan.Hash()) == nil {
			b.definitions[w.Create.Plan.Hash()] = w.Create.Plan
		}
	}
	slices.SortFunc(b.pending, func(x, y *pendingWrite) int { return cmp.Compare(x.RunID, y.RunID) })
	for i := 1; i < len(b.pending); i++ {
		if id := b.pending[i].RunID; id == b.pending[i-1].RunID {
			return b, fmt.Errorf("run %s is in one batch twice", id)
		}
	}
	return b, nil
}

// storableWrite refuses texts with which a write would keep the others from
// being stored.
func storableWrite(w workflow.Write) error {
	args := []any{w.RunID, w.Owner}
	if w.Create != nil {
		args = append(runArgs(w), w.Create.Plan.Text())
	}
	for _, e := range w.Entries {
		args = append(args, e.Node, e.Iteration, string(e.Data), e.Request)
	}
	return storable(args)
}

// write does what is not refused.
func (b *batch) write() error {
	for _, step := range []func() error{b.define, b.create, b.repeat, b.append} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.insertLog()
}

// settle takes a write out, because it was done before, or cannot be.
func (b *batch) settle(w *pendingWrite, err error) {
	b.refused[w.index] = err
	b.pending = slices.DeleteFunc(b.pending, func(p *pendingWrite) bool { return p == w })
}

// those returns the writes of a kind; they may be settled meanwhile.
func (b *batch) those(are func(*pendingWrite) bool) (some []*pendingWrite) {
	for _, w := range b.pending {
		if are(w) {
			some = append(some, w)
		}
	}
	return some
}

// define stores definitions that are not known to be there.
func (b *batch) define() error {
	for part := range parts(slices.Sorted(maps.Keys(b.definitions)), 1) {
		var args []any
		for _, hash := range part {
			args = append(args, hash, b.definitions[hash].Text())
		}
		if _, err := b.tx.exec(`INSERT INTO definitions (hash, definition) VALUES `+rows(`(?, ?)`, len(part))+` ON CONFLICT (hash) DO NOTHING`, args...); err != nil {
			return err
		}
	}
	return nil
}

// create stores new runs. Those that exist and are Repeated are added to.
func (b *batch) create() error {
	for part := range parts(b.those(func(w *pendingWrite) bool { return w.Create != nil }), 1) {
		var args []any
		for _, w := range part {
			args = append(args, runArgs(w.Write)...)
		}
		created, err := listIn(b.tx, scanID, `INSERT INTO runs (id, workflow_id, tenant, title, status, definition, definition_hash, started_by, started_at, ended_at, error, owner, engine, parent, depth)
			VALUES `+rows(`(?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(part))+` ON CONFLICT (id) DO NOTHING RETURNING id`, args...)
		if err != nil {
			return err
		}
		slices.Sort(created)
		for _, w := range part {
			if _, isNew := slices.BinarySearch(created, w.RunID); isNew {
				w.created = true
			} else if !w.Repeated {
				b.settle(w, exists(w.Write))
			}
		}
	}
	return nil
}

func runArgs(w workflow.Write) []any {
	r := w.Create
	status, end := events.RunPending, statusAfter(w.Entries)
	if slices.ContainsFunc(w.Entries, func(e interpreter.Entry) bool { return e.Type != interpreter.InputSet }) {
		status = end.Status
	}
	return []any{
		r.ID, r.WorkflowID, r.Tenant, r.Title, string(status), r.Plan.Hash(), r.StartedBy, micros(r.StartedAt), micros(end.At), end.Error,
		r.Owner, string(r.Engine), r.Parent, r.Depth,
	}
}

// statusAfter is what becomes of a run that has begun. JSON can write U+0000 in
// a form that every database takes; the error has to do without it.
func statusAfter(entries []interpreter.Entry) workflow.End {
	if end := workflow.EndIn(entries); end != nil {
		end.Error = strings.ReplaceAll(end.Error, "\x00", "\uFFFD")
		return *end
	}
	return workflow.End{Status: events.RunRunning}
}

// scanID reads one text.
func scanID(row scanner) (id string, err error) { return id, row.Scan(&id) }

// repeat leaves out what the logs of runs have.
func (b *batch) repeat() error {
	for _, w := range b.those(func(w *pendingWrite) bool { return w.Repeated && !w.created }) {
		var owner string
		// Nobody adds to the log meanwhile.
		err := b.tx.row(`UPDATE runs SET owner = owner WHERE id = ? RETURNING owner`, w.RunID).Scan(&owner)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			b.settle(w, fmt.Errorf("run %s: %w", w.RunID, workflow.ErrNotFound))
			continue
		case err != nil:
			return err
		case owner != w.Owner && w.Create != nil:
			b.settle(w, exists(w.Write))
			continue
		case owner != w.Owner:
			b.settle(w, lost(w.Write, owner))
			continue
		}
		var last int64
		if err := b.tx.row(`SELECT COALESCE(MAX(seq), 0) FROM run_log WHERE run_id = ?`, w.RunID).Scan(&last); err != nil {
			return err
		}
		if len(w.Entries) == 0 {
			continue
		}
		fresh := slices.IndexFunc(w.Entries, func(e interpreter.Entry) bool { return e.Seq > uint64(last) })
		switch {
		case fresh < 0:
			b.settle(w, nil)
		case w.Entries[fresh].Seq != uint64(last)+1:
			b.settle(w, fmt.Errorf("run %s has %d entries, and the next is %d: %w", w.RunID, last, w.Entries[fresh].Seq, workflow.ErrGap))
		default:
			w.Entries = w.Entries[fresh:]
		}
	}
	return nil
}

// append says in the rows of runs what becomes of them, which fences off other
// owners until the end of the transaction.
func (b *batch) append() error {
	for part := range parts(b.those(func(w *pendingWrite) bool { return !w.created }), 1) {
		var args []any
		for _, w := range part {
			end := statusAfter(w.Entries)
			args = append(args, w.RunID, w.Owner, string(end.Status), micros(end.At), end.Error)
		}
		changed, err := listIn(b.tx, scanID, `WITH v (id, owner, status, ended_at, error) AS (VALUES `+rows(`(?, ?, ?, CAST(? AS BIGINT), ?)`, len(part))+`)
			UPDATE runs SET status = v.status, ended_at = v.ended_at, error = v.error FROM v
			WHERE runs.id = v.id AND runs.owner = v.owner AND runs.status IN ('PENDING', 'RUNNING') RETURNING runs.id`, args...)
		if err != nil {
			return err
		}
		slices.Sort(changed)
		for _, w := range part {
			if _, ok := slices.BinarySearch(changed, w.RunID); ok {
				continue
			}
			reason, err := b.notWritable(w.Write)
			if err != nil {
				return err
			}
			b.settle(w, reason)
		}
	}
	return nil
}

// notWritable says why a run takes no entries.
func (b *batch) notWritable(w workflow.Write) (reason, err error) {
	var owner string
	err = b.tx.row(`SELECT owner FROM runs WHERE id = ? AND status IN ('PENDING', 'RUNNING')`, w.RunID).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("run %s is not going on: %w", w.RunID, workflow.ErrNotFound), nil
	}
	return lost(w, owner), err
}

func exists(w workflow.Write) error { return fmt.Errorf("run %s: %w", w.RunID, workflow.ErrExists) }

func lost(w workflow.Write, owner string) error {
	return fmt.Errorf("run %s goes on in instance %q, not in %q: %w", w.RunID, owner, w.Owner, workflow.ErrLost)
}

const (
	logColumns = 8
	// insertBytes is about how much data one statement inserts.
	insertBytes = 4 << 20
)

// insertLog stores the entries.
func (b *batch) insertLog() error {
	entries := 0
	for _, w := range b.pending {
		entries += len(w.Entries)
	}
	args, size := make([]any, 0, logColumns*min(entries, maxPart)), 0
	for _, w := range b.pending {
		for _, e := range w.Entries {
			args = append(args, w.RunID, int64(e.Seq), string(e.Type), e.Node, e.Iteration, string(e.Data), micros(e.At), e.Request)
			if size += len(e.Data); len(args) < cap(args) && size < insertBytes {
				continue
			}
			if err := b.insertRows(args); err != nil {
				return err
			}
			args, size = args[:0], 0
		}
	}
	return b.insertRows(args)
}

func (b *batch) insertRows(args []any) error {
	for part := range parts(args, logColumns) {
		if _, err := b.tx.exec(`INSERT INTO run_log (run_id, seq, type, node, iteration, data, at, request) VALUES `+rows(`(?, ?, ?, ?, ?, ?, ?, ?)`, len(part)/logColumns), part...); err != nil {
			return err
		}
	}
	return nil
}

// maxPart is how many rows one statement writes at most.
const maxPart = 64

// parts divides a list of rows, of so many items each, into parts for one
// statement each, the number of whose rows is a power of two: of what has to be
// parsed only once there are few then.
func parts[T any](list []T, items int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for n := maxPart; len(list) > 0; {
			switch {
			case len(list) < n*items:
				n /= 2
			case !yield(list[: n*items : n*items]):
				return
			default:
				list = list[n*items:]
			}
		}
	}
}

// rows are the placeholders of n rows.
func rows(row string, n int) string { return row + strings.Repeat(", "+row, n-1) }
