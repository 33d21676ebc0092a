package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// An instance is an interpreter for one script. After an error it is good for
// nothing but to be closed.
type instance struct {
	*engine
	ctx    context.Context
	memory *memory
	module api.Module
}

// outcome is what the prelude says of a script: a value, or what was thrown.
type outcome struct {
	Value json.RawMessage
	Error *ScriptError
}

var errInputMemory = errors.New("no memory for the variables")

func (e *engine) instantiate(ctx context.Context, maxMemory int64) (*instance, error) {
	i := &instance{engine: e, ctx: ctx, memory: &memory{limit: uint64(maxMemory), spare: &e.spare, first: e.size()}}
	var err error
	i.module, err = e.runtime.InstantiateModule(i.memory.use(ctx), e.compiled,
		wazero.NewModuleConfig().WithName("").WithStartFunctions().WithSysWalltime())
	return i, err
}

// newInstance makes an interpreter that is ready, from the image.
func (e *engine) newInstance(ctx context.Context, maxMemory int64) (*instance, error) {
	i, err := e.instantiate(ctx, maxMemory)
	if err != nil {
		return nil, err
	}
	if _, ok := i.module.Memory().Grow(uint32(e.size()-linkedEnd) / page); !ok {
		i.close()
		return nil, errors.New("no memory for the interpreter")
	}
	copy(i.memory.buf, e.low)
	copy(i.memory.buf[stackTop:], e.high)
	return i, nil
}

// close frees the instance.
func (i *instance) close() { _ = i.module.Close(context.Background()) }

// untouched is a guard that nothing has written to.
var untouched [guardSize]byte

// overflowed reports whether the stack has grown into its guard.
func (i *instance) overflowed() bool {
	return len(i.memory.buf) >= stackTop && !bytes.Equal(i.memory.buf[linkedEnd:linkedEnd+guardSize], untouched[:])
}

// wrap makes a function of the code. Its first line stays the first.
func wrap(code string) string { return "(async function (ctx, input) {" + code + "\n})" }

const (
	fileName    = "script"
	compileFlag = 1 << 5
)

// compileOnly finds syntax errors.
func (i *instance) compileOnly(code string) (outcome, error) {
	c := &calls{instance: i}
	c.eval(wrap(code), fileName, compileFlag)
	c.throwPending()
	return outcome{}, c.err
}

// run runs a script to its end.
func (i *instance) run(code string, input []byte) (outcome, error) {
	c := &calls{instance: i}
	vars := c.parse(input)
	function := c.eval(wrap(code), fileName, 0)
	c.throwPending()
	c.invoke(i.begin, function, vars, c.call("QJS_NewFloat64", i.context, seed()))
	// To evaluate anything does everything that promises wait for.
	c.eval("0", "loop", 0)
	result := c.outcome(c.invoke(i.outcome))
	if c.err == nil && i.overflowed() {
		c.err = errDepth
	}
	return result, c.err
}

// seed is a number for Math.random, as the bits of a float.
func seed() uint64 { return 0x3ff0_0000_0000_0000 | rand.Uint64()>>12 }
