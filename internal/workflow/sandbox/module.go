package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	_ "unsafe" // for go:linkname

	_ "github.com/fastschema/qjs" // for its WebAssembly module
)

// quickjs is the module that the package embeds for itself. We run it without
// the rest of the package, which gives scripts a folder to write to, sleeps
// that nothing interrupts and the process's standard output, and keeps what it
// compiles for each runtime for ever.
//
//go:linkname quickjs github.com/fastschema/qjs.wasmBytes
var quickjs []byte

// The stack of the module's C code. As linked, it has 64 KiB, and below it lie
// constants: a script that calls itself some hundred times would overwrite
// them, as the module does not look. We give it more room, in pages between
// what is linked and the heap, and a guard below it that shows an overflow.
const (
	page       = 64 << 10
	linkedEnd  = 3 * page // where memory ends as linked
	guardSize  = 4 * page
	stackSize  = 28 * page
	stackTop   = linkedEnd + guardSize + stackSize
	stackPages = (guardSize + stackSize) / page
)

// linkedStack is the section that says where the stack begins: one global,
// a variable i32, 165408.
var linkedStack = []byte{6, 8, 1, 0x7f, 1, 0x41, 0xa0, 0x8c, 0x0a, 0x0b}

// moveStack returns the module with its stack at stackTop.
func moveStack(module []byte) ([]byte, error) {
	if bytes.Count(module, linkedStack) != 1 {
		return nil, errors.New("the stack of the JavaScript interpreter is not where it was")
	}
	// The number is of at most 28 bits and positive, so that its encoding is
	// that of an unsigned one.
	top := binary.AppendUvarint(nil, stackTop)
	moved := append([]byte{6, byte(5 + len(top)), 1, 0x7f, 1, 0x41}, top...)
	return bytes.Replace(module, linkedStack, append(moved, 0x0b), 1), nil
}
