package sandbox

import (
	"encoding/json"
	"fmt"
)

// calls is a row of calls into an instance, which ends with the first error.
// What comes from the instance is not to be trusted: its script may have
// changed all of it.
type calls struct {
	*instance
	err error
}

// call calls a function of the module.
func (c *calls) call(name string, args ...uint64) uint64 {
	if c.err != nil {
		return 0
	}
	results, err := c.module.ExportedFunction(name).Call(c.ctx, args...)
	if err != nil {
		c.err = err
	}
	if len(results) == 0 {
		return 0
	}
	return results[0]
}

// text puts a text into the instance, 0 if there is no room. It is not freed:
// the instance does not live long.
func (c *calls) text(s []byte) uint64 {
	at := c.call("malloc", uint64(len(s)+1))
	if at == 0 || !c.module.Memory().Write(uint32(at), s) || !c.module.Memory().WriteByte(uint32(at)+uint32(len(s)), 0) {
		return 0
	}
	return at
}

func (c *calls) eval(code, file string, flags uint64) uint64 {
	at, name := c.text([]byte(code)), c.text([]byte(file))
	options := c.call("QJS_CreateEvalOption", at, 0, 0, name, flags)
	return c.call("QJS_Eval", c.context, options)
}

// parse makes a value of JSON.
func (c *calls) parse(raw []byte) uint64 {
	at := c.text(raw)
	if c.err == nil && at == 0 {
		c.err = errInputMemory
	}
	value := c.call("QJS_ParseJSON", c.context, at)
	c.call("free", at)
	if c.call("JS_HasException", c.context) != 0 && c.err == nil {
		c.err = errInputMemory
	}
	return value
}

func (c *calls) property(object uint64, name string) uint64 {
	return c.call("JS_GetPropertyStr", c.context, object, c.text([]byte(name)))
}

// invoke calls a JavaScript function.
func (c *calls) invoke(function uint64, args ...uint64) uint64 {
	list := c.call("malloc", uint64(8*len(args)+8))
	for n, arg := range args {
		c.module.Memory().WriteUint64Le(uint32(list)+uint32(8*n), arg)
	}
	return c.call("QJS_Call", c.context, function, c.call("JS_NewUndefined"), uint64(len(args)), list)
}

// throwPending makes an error of what was thrown and not caught.
func (c *calls) throwPending() {
	if c.call("JS_HasException", c.context) == 0 || c.err != nil {
		return
	}
	c.outcome(c.invoke(c.describeError, c.call("JS_GetException", c.context)))
}

// outcome reads what the prelude says, as JSON.
func (c *calls) outcome(value uint64) (o outcome) {
	packed := c.call("QJS_ToCString", c.context, value)
	if c.err != nil {
		return outcome{}
	}
	raw, err := c.read(packed)
	switch {
	case err != nil:
		c.err = err
	case len(raw) == 0:
		c.err = errNever
	case json.Unmarshal(raw, &o) != nil:
		c.err = errBroken
	case o.Error != nil:
		c.err = o.Error
	}
	return o
}

// read reads a text whose place and length stand at an address.
func (c *calls) read(packed uint64) ([]byte, error) {
	if packed == 0 {
		return nil, nil
	}
	place, ok := c.module.Memory().ReadUint64Le(uint32(packed))
	if !ok {
		return nil, errBroken
	}
	at, length := uint32(place>>32), uint32(place)
	if length > maxResult+uint32(len(envelope)) {
		return nil, errResult
	}
	raw, ok := c.module.Memory().Read(at, length)
	if !ok {
		return nil, fmt.Errorf("%w: its result is nowhere", errBroken)
	}
	return raw, nil
}

// envelope is what the prelude writes around a value.
const envelope = `{"Value":}`
