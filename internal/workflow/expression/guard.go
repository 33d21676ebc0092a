package expression

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What one evaluation may use. Whoever can write a workflow can write
// all(a, all(a, all(a, …))) or repeat(repeat(…)): without bounds one
// expression would take a processor, or all memory, for ever.
const (
	maxDepth     = 4               // of functions with a condition inside each other
	maxSteps     = 1_000_000       // elements that such functions look at
	maxTime      = 2 * time.Second // of everything in one value
	maxBuilt     = 16 << 20        // bytes of text and lists built on the way
	maxResult    = 4 << 20         // bytes of the result, as text
	memoryBudget = 1_000_000       // elements, as the engine counts them
)

var (
	errSteps  = fmt.Errorf("the expression looks at more than %d elements", maxSteps)
	errTime   = fmt.Errorf("the expression takes longer than %v", maxTime)
	errMemory = fmt.Errorf("the expression builds more than %d bytes", maxBuilt)
	errResult = fmt.Errorf("the value is larger than %d bytes", maxResult)
)

// A guard bounds the evaluation of one value.
type guard struct {
	ctx     context.Context
	steps   int
	built   int
	matched int
}

func newGuard(ctx context.Context) (*guard, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, errTime)
	return &guard{ctx: ctx}, cancel
}

// interrupted says why the evaluation must end, nil if it need not.
func (g *guard) interrupted() error {
	if g.ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(g.ctx); errors.Is(cause, errTime) {
		return cause
	}
	return errors.New("the evaluation was stopped")
}

// step counts one element.
func (g *guard) step() error {
	g.steps++
	if g.steps > maxSteps {
		return errSteps
	}
	if g.steps%16 == 0 { // asking costs more than counting
		return g.interrupted()
	}
	return nil
}

// grow counts what is about to be built.
func (g *guard) grow(bytes int) error {
	if bytes < 0 || bytes > maxBuilt-g.built {
		return errMemory
	}
	g.built += bytes
	return nil
}

// write counts a value that is about to be written out.
func (g *guard) write(value any) error {
	size, err := sizeOf(value, maxBuilt)
	if err != nil {
		return err
	}
	return g.grow(size)
}

// checkResult refuses what is small in memory, where parts are shared, and
// huge once it is written out.
func (g *guard) checkResult(value any) error {
	size, err := sizeOf(value, maxResult)
	if err == nil && size > maxResult {
		err = errResult
	}
	return err
}
