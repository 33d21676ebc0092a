package nodes

import (
	"context"
	"fmt"
	"math"
	"time"
)

// loop repeats its body, what follows its handle loop, for each item of a list,
// one after the other. Its settings:
//
//	sourceVariable     the list; a number n is the list 0 to n-1
//	itemVariable       holds the item (item)
//	indexVariable      holds its index, from 0 (index)
//	outputVariable     where the list of results goes (loopResults)
//	maxIterations      1 to 100000 (1000); a longer list is an error
//	delayBetweenItems  0 to 60000 milliseconds
//
// The result of an item is the output of the node that leads back to the loop,
// else of the one that ended last.
type loop struct{}

const (
	defaultIterations = 1000
	maxIterations     = 100_000
	maxItemDelay      = 60_000 // milliseconds
)

func (loop) Pure() bool { return true }

func (loop) Handles(Data) []string { return []string{"loop", "completed"} }

func (loop) Check(d Data) []Problem {
	if d.String("sourceVariable") == "" {
		return problem("sourceVariable", "is missing")
	}
	for _, f := range []struct {
		key      string
		min, max float64
	}{{"maxIterations", 1, maxIterations}, {"delayBetweenItems", 0, maxItemDelay}} {
		v, given := d[f.key]
		if n, ok := toNumber(v); given && !d.hasTemplate(f.key) && (!ok || n < f.min || n > f.max || n != math.Trunc(n)) {
			return problem(f.key, "is not a whole number from %v to %v", f.min, f.max)
		}
	}
	return nil
}

func (loop) Run(ctx context.Context, call Call) (Result, error) {
	value, err := source(ctx, call.Source.String("sourceVariable"), call.Vars)
	if err != nil {
		return Result{}, fmt.Errorf("sourceVariable: %w", err)
	}
	limit := defaultIterations
	if n, ok := call.Data.Number("maxIterations"); ok && n >= 1 && n <= maxIterations {
		limit = int(n)
	}
	items, err := itemsOf(value, limit)
	if err != nil {
		return Result{}, fmt.Errorf("sourceVariable %w", err)
	}
	l := &Loop{Items: items, ItemVariable: orElse(call.Data.String("itemVariable"), "item"), IndexVariable: orElse(call.Data.String("indexVariable"), "index")}
	if ms, ok := call.Data.Number("delayBetweenItems"); ok {
		l.Pause = duration(ms, time.Millisecond, maxItemDelay*time.Millisecond)
	}
	return Result{Loop: l}, nil
}

// itemsOf returns what a loop goes through.
func itemsOf(value any, limit int) ([]any, error) {
	n, isNumber := value.(int)
	list, isList := value.([]any)
	switch {
	case isList && len(list) > limit, isNumber && n > limit:
		return nil, fmt.Errorf("has more items than maxIterations, which is %d", limit)
	case isList:
		return list, nil
	case isNumber && n >= 0:
		list = make([]any, n)
		for i := range list {
			list[i] = i
		}
		return list, nil
	case value == nil:
		return nil, fmt.Errorf("is not there")
	}
	return nil, fmt.Errorf("is neither a list nor a whole number")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
