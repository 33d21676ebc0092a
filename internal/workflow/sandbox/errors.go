package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A ScriptError is what a script threw.
type ScriptError struct {
	Name, Message string
	// Line is the line of the code, from 1, on which it happened, or after
	// which if Below is set: the interpreter does not keep the places of all
	// that can fail. Zero is unknown.
	Line  int
	Below bool
}

func (e *ScriptError) Error() string {
	text := e.Message
	switch {
	case e.Name != "" && e.Message != "":
		text = e.Name + ": " + e.Message
	case e.Name != "":
		text = e.Name
	}
	switch {
	case e.Line > 0 && e.Below:
		text += fmt.Sprintf(" (line %d or below)", e.Line)
	case e.Line > 0:
		text += fmt.Sprintf(" (line %d)", e.Line)
	}
	return text
}

var (
	errDepth  = errors.New("the script calls itself too deeply")
	errNever  = errors.New("the script waits for something that never happens")
	errResult = fmt.Errorf("the script returns more than %d bytes, as JSON", maxResult)
	errBroken = errors.New("the script broke the interpreter")
)

// nativeOverflow is what the machine says that runs the module when its own
// stack is at its end.
const nativeOverflow = "wasm error: stack overflow"

func (s *Sandbox) errInput() error {
	return fmt.Errorf("the variables of the run do not fit into the memory of a script, %s: keep fewer or smaller ones", size(s.opts.MaxMemory))
}

// explain says in words which limit was met. What the limits do to an
// interpreter looks different each time, so they are asked first.
func (s *Sandbox) explain(ctx, limited context.Context, timeout time.Duration, i *instance, err error) error {
	memory := fmt.Errorf("the script needs more than %s of memory", size(s.opts.MaxMemory))
	var thrown *ScriptError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case i != nil && i.overflowed(), strings.Contains(err.Error(), nativeOverflow):
		return errDepth
	case limited.Err() != nil:
		return fmt.Errorf("the script takes longer than %v", timeout)
	case errors.Is(err, errInputMemory):
		return s.errInput()
	case errors.As(err, &thrown):
		if thrown.outOfMemory() && i != nil && (i.memory.refused || thrown.Name != "") {
			return memory
		}
		return thrown
	case errors.Is(err, errResult):
		return err
	case i != nil && i.memory.refused:
		return memory
	case errors.Is(err, errNever):
		return err
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%w: %s", errBroken, line)
}

// outOfMemory reports whether an error may be what the interpreter throws when
// it gets no memory: with none left for the error itself, that is null.
func (e *ScriptError) outOfMemory() bool {
	return e.Name == "InternalError" && e.Message == "out of memory" || e.Name == "" && e.Message == "null"
}

func size(bytes int64) string {
	if bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
