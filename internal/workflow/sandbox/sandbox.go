// Package sandbox runs JavaScript that nobody has read. A script is the body of
// an async function of ctx and input; its only way out is the value that it
// returns. It sees no files, no network, no environment, no other script and no
// clock but Date, and it ends: in time, memory, depth and size of the result.
//
// The interpreter is QuickJS, compiled to WebAssembly. Each script gets an
// interpreter of its own, made from an image of one that is ready, and thrown
// away afterwards whatever became of it.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options are the limits. What is zero has its default.
type Options struct {
	// MaxTime bounds one script (30 s).
	MaxTime time.Duration
	// MaxMemory bounds the interpreter of one script, in bytes (64 MiB).
	MaxMemory int64
	// Parallel bounds the scripts that run at once (4). Others wait.
	Parallel int
}

const (
	// MinMemory is what an interpreter needs to run anything of use.
	MinMemory = 8 << 20

	maxCode   = 100_000 // bytes
	maxResult = 4 << 20 // bytes, as JSON
	checkTime = 5 * time.Second
)

// A Sandbox runs scripts. Its methods may be called concurrently. It starts no
// goroutine that outlives a call.
type Sandbox struct {
	opts    Options
	running chan struct{} // a place for each script
	checks  chan struct{} // checks have a place of their own: to save a workflow does not wait for scripts
}

// New returns a sandbox. The interpreter is compiled when the first script
// comes, which takes about a second, once in a process.
func New(opts Options) *Sandbox {
	if opts.MaxTime == 0 {
		opts.MaxTime = 30 * time.Second
	}
	if opts.MaxMemory == 0 {
		opts.MaxMemory = 64 << 20
	}
	if opts.Parallel == 0 {
		opts.Parallel = 4
	}
	return &Sandbox{opts: opts, running: make(chan struct{}, opts.Parallel), checks: make(chan struct{}, 1)}
}

// MaxTime is the longest that a script may take.
func (s *Sandbox) MaxTime() time.Duration { return s.opts.MaxTime }

// Run runs a script and returns what it returns, as decoded from JSON. A
// timeout of zero is the longest; waiting for a place does not count. An error
// is of type [*ScriptError] if the script threw it; all are for its author.
func (s *Sandbox) Run(ctx context.Context, code string, vars map[string]any, timeout time.Duration) (any, error) {
	if err := checkCode(code); err != nil {
		return nil, err
	}
	input, err := s.encodeInput(vars)
	if err != nil {
		return nil, err
	}
	if timeout <= 0 || timeout > s.opts.MaxTime {
		timeout = s.opts.MaxTime
	}
	result, err := s.inside(ctx, s.running, timeout, func(i *instance) (outcome, error) { return i.run(code, input) })
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(result.Value, &value); err != nil {
		return nil, errors.New("the script has changed how its result is written, and it is not JSON")
	}
	return value, nil
}

// Check reports a syntax error, without running anything. If it cannot tell, as
// on a machine that is too busy, the code passes: Run will say more.
func (s *Sandbox) Check(ctx context.Context, code string) error {
	if err := checkCode(code); err != nil {
		return err
	}
	_, err := s.inside(ctx, s.checks, checkTime, func(i *instance) (outcome, error) { return i.compileOnly(code) })
	var wrong *ScriptError
	if errors.As(err, &wrong) || errors.Is(err, errDepth) {
		return err
	}
	return nil
}

func checkCode(code string) error {
	switch {
	case len(code) > maxCode:
		return fmt.Errorf("the code is longer than %d bytes", maxCode)
	case strings.ContainsRune(code, 0):
		return errors.New("the code has a NUL character")
	}
	return nil
}

func (s *Sandbox) encodeInput(vars map[string]any) ([]byte, error) {
	if vars == nil {
		vars = map[string]any{}
	}
	input, err := json.Marshal(vars)
	if err != nil {
		return nil, fmt.Errorf("the variables of the run are not JSON: %w", err)
	}
	if int64(len(input)) > s.opts.MaxMemory/4 {
		return nil, s.errInput()
	}
	return input, nil
}

// inside does something with a fresh instance, within the limits.
func (s *Sandbox) inside(ctx context.Context, places chan struct{}, timeout time.Duration, do func(*instance) (outcome, error)) (outcome, error) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
	e, err := theEngine()
	if err != nil {
		return outcome{}, err
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	i, err := e.newInstance(limited, s.opts.MaxMemory)
	if err != nil {
		return outcome{}, s.explain(ctx, limited, timeout, nil, err)
	}
	defer i.close()
	result, err := do(i)
	if err != nil {
		return outcome{}, s.explain(ctx, limited, timeout, i, err)
	}
	return result, nil
}
