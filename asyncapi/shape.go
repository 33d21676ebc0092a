package asyncapi

import (
	"bytes"
	"encoding/json"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roomcast/roomcast/asyncapi/schema"
	"github.com/roomcast/roomcast/events"
)

// A shape is the schema of a payload. Nearly all payloads are valid, which
// fast finds out at a thirtieth of the cost; full has the last word, and the
// reasons.
type shape struct {
	full *jsonschema.Schema
	fast *schema.Schema // nil if it uses what that package does not know
}

func compile(c *jsonschema.Compiler, location string) (*shape, error) {
	full, err := c.Compile(location)
	if err != nil {
		return nil, err
	}
	fast, err := schema.Compile(full)
	if err != nil {
		fast = nil
	}
	return &shape{full, fast}, nil
}

// check returns why raw is not valid, an *events.Error, or nil.
func (s *shape) check(raw []byte) error {
	if s.fast != nil && s.fast.Valid(raw) {
		return nil
	}
	value, err := decode(raw)
	if err != nil {
		return events.Errorf(events.CodeValidation, "payload is not JSON")
	}
	err = s.full.Validate(value)
	if e := Explain(err); e != nil {
		return e
	}
	return err
}

// decode keeps numbers as they were written: a schema may ask for integers.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	return v, d.Decode(&v)
}
