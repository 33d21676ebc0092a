package store

import (
	lru "container/list"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// plansSize bounds the definitions that are kept decoded, by the bytes of
// their texts. Decoded they take several times that.
const plansSize = 8 << 20

// plans are decoded definitions, those that were used last. They are known by
// their hash if they are in the table definitions, so that what is found by its
// hash need not be stored, and else by their text.
type plans struct {
	mu    sync.Mutex
	size  int
	order *lru.List // of known; the front was used last
	byKey map[string]*lru.Element
}

type known struct {
	key  string
	plan *graph.Plan
}

func (k known) size() int { return len(k.key) + len(k.plan.Text()) }

func newPlans() *plans { return &plans{order: lru.New(), byKey: make(map[string]*lru.Element)} }

// find returns nil if a plan is not there.
func (p *plans) find(key string) *graph.Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byKey[key]
	if e == nil {
		return nil
	}
	p.order.MoveToFront(e)
	return e.Value.(known).plan
}

// add returns the plan that is there now: of those who decode the same at once
// the first one's.
func (p *plans) add(key string, plan *graph.Plan) *graph.Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byKey[key]; e != nil {
		return e.Value.(known).plan
	}
	k := known{key, plan}
	p.byKey[key] = p.order.PushFront(k)
	p.size += k.size()
	for p.size > plansSize && p.order.Len() > 1 {
		last := p.order.Remove(p.order.Back()).(known)
		delete(p.byKey, last.key)
		p.size -= last.size()
	}
	return plan
}

// decoded returns the plan of a text, known by a key.
func (p *plans) decoded(key, text string) (*graph.Plan, error) {
	if plan := p.find(key); plan != nil {
		return plan, nil
	}
	plan := new(graph.Plan)
	if err := plan.UnmarshalJSON([]byte(text)); err != nil {
		return nil, err
	}
	return p.add(key, plan), nil
}

// definitions returns the plans of hashes.
func (db *DB) definitions(ctx context.Context, hashes []string) (map[string]*graph.Plan, error) {
	found := make(map[string]*graph.Plan)
	var missing []string
	for _, h := range hashes {
		if found[h] != nil || slices.Contains(missing, h) {
			continue
		}
		if plan := db.plans.find(h); plan != nil {
			found[h] = plan
		} else {
			missing = append(missing, h)
		}
	}
	for part := range slices.Chunk(missing, insertRows) {
		in, args := placeholders(part)
		_, err := list(ctx, db, func(row scanner) (struct{}, error) {
			var hash, text string
			if err := row.Scan(&hash, &text); err != nil {
				return struct{}{}, err
			}
			plan, err := db.plans.decoded(hash, text)
			if err != nil {
				return struct{}{}, fmt.Errorf("definition %s: %w", hash, err)
			}
			found[hash] = plan
			return struct{}{}, nil
		}, `SELECT hash, definition FROM definitions WHERE hash IN (`+in+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
