// Package schema checks JSON against JSON Schema as it comes off the wire: in
// one pass over the bytes, without decoding them and without allocating.
//
// It knows the part of draft 7 that documents of events are written in, and
// refuses to compile the rest. It only says whether a value is valid; for the
// reasons, and for what it does not understand, there is the library that the
// schemas come from. The two agree, with one liberty: this package may call a
// valid value invalid where deciding would need more than a pass (a name
// written twice, an escape in a name, a number beyond 18 digits). Callers
// therefore ask the library before they refuse anything.
package schema

import "github.com/santhosh-tekuri/jsonschema/v6"

// A Schema says which values are valid. Its methods may be called
// concurrently.
type Schema struct{ root *node }

// Compile translates a compiled schema. The error names the keyword that this
// package does not know.
func Compile(s *jsonschema.Schema) (*Schema, error) {
	c := compiler{nodes: make(map[*jsonschema.Schema]*node)}
	root, err := c.compile(s)
	if err != nil {
		return nil, err
	}
	return &Schema{root}, nil
}

// Valid reports whether raw is one JSON value that matches the schema. False
// means no, or that the library has to be asked.
func (s *Schema) Valid(raw []byte) bool {
	in := scanner{raw: raw}
	return in.whole(s.root) && !in.unsure
}
