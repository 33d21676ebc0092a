package sandbox

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

//go:embed prelude.js
var prelude string

// An engine is the compiled interpreter, and an image of it that has started
// up.
type engine struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	// low and high are the memory of an interpreter that is ready, below and
	// above its stack, which is empty.
	low, high []byte
	// context and the functions of the prelude are where they are in the image.
	context                       uint64
	begin, outcome, describeError uint64
	// spare has memories of instances that are closed, empty again.
	spare sync.Pool
}

// size is the memory of an interpreter that is ready, in bytes.
func (e *engine) size() int { return stackTop + len(e.high) }

// theEngine is compiled at most once in a process: nothing in it depends on
// who uses it.
var theEngine = sync.OnceValues(newEngine)

func newEngine() (*engine, error) {
	e, err := compile(context.Background())
	if err == nil {
		err = e.start()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot start the JavaScript interpreter: %w", err)
	}
	return e, nil
}

// compile compiles the module. Scripts are stopped by the end of a context,
// which costs the code a call in each round of a loop; by this it also stays
// preemptible, so that a long script does not hold up the garbage collector.
func compile(ctx context.Context) (*engine, error) {
	module, err := moveStack(quickjs)
	if err != nil {
		return nil, err
	}
	e := &engine{runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))}
	// Without configuration WASI has no files, arguments, environment and
	// input, discards output, and does not sleep.
	if _, err := wasi.Instantiate(ctx, e.runtime); err != nil {
		return nil, err
	}
	_, err = e.runtime.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithFunc(func(context.Context, api.Module, uint32, uint64, uint32, uint32) uint64 {
			panic(errors.New("scripts have no functions of the host"))
		}).Export("jsFunctionProxy").Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	e.compiled, err = e.runtime.CompileModule(ctx, module)
	return e, err
}

// start runs an interpreter until it is ready, and takes the image.
func (e *engine) start() error {
	i, err := e.instantiate(context.Background(), MinMemory)
	if err != nil {
		return err
	}
	defer i.close()
	if _, ok := i.module.Memory().Grow(stackPages); !ok {
		return errors.New("no memory for its stack")
	}
	c := &calls{instance: i}
	e.context = c.call("QJS_GetContext", c.call("New_QJS", 0, 0, 0, 0))
	functions := c.eval(prelude, "prelude", 0)
	if c.err == nil && c.call("JS_HasException", e.context) != 0 {
		return errors.New("the prelude failed")
	}
	e.begin = c.property(functions, "begin")
	e.outcome = c.property(functions, "outcome")
	e.describeError = c.property(functions, "describeError")
	if c.err != nil {
		return c.err
	}
	e.low = append(e.low, i.memory.buf[:linkedEnd]...)
	e.high = append(e.high, i.memory.buf[stackTop:]...)
	return nil
}
