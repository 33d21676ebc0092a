package schema

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// understood are the fields of a library's schema that have a meaning here;
// without names what they say is not about validity.
const understood = `DraftVersion Bool Ref Types Enum Const AllOf AnyOf OneOf Format
	Required Properties AdditionalProperties MinItems MaxItems Items
	MinLength MaxLength Pattern Maximum Minimum ExclusiveMaximum ExclusiveMinimum
	Location ID Anchor Title Description Default Comment ReadOnly WriteOnly Examples Deprecated`

type compiler struct {
	// nodes also holds what is being compiled: schemas may contain themselves.
	nodes map[*jsonschema.Schema]*node
}

func (c *compiler) compile(s *jsonschema.Schema) (*node, error) {
	if n, ok := c.nodes[s]; ok && n == nil {
		return nil, fmt.Errorf("%s: a reference to itself", s.Location)
	} else if ok {
		return n, nil
	}
	switch {
	case s.Bool != nil && *s.Bool:
		return anything, nil
	case s.Bool != nil:
		return &node{}, nil
	}
	if err := known(s); err != nil {
		return nil, err
	}
	if s.Ref != nil { // draft 7 ignores what stands beside it
		c.nodes[s] = nil
		n, err := c.compile(s.Ref)
		c.nodes[s] = n
		return n, err
	}
	n := &node{types: everything}
	c.nodes[s] = n
	for _, rules := range []func(*node, *jsonschema.Schema) error{
		types, values, textual, numeric, c.arrays, c.objects, c.combined,
	} {
		if err := rules(n, s); err != nil {
			return nil, err
		}
	}
	if n.free && n.all == nil && n.any == nil && n.one == nil {
		c.nodes[s] = anything
	}
	return c.nodes[s], nil
}

// known refuses what has a meaning that this package does not know.
func known(s *jsonschema.Schema) error {
	if s.DraftVersion != 7 {
		return fmt.Errorf("%s: draft %d", s.Location, s.DraftVersion)
	}
	v := reflect.ValueOf(s).Elem()
	names := strings.Fields(understood)
	for field, value := range v.Fields() {
		if field.IsExported() && !value.IsZero() && !slices.Contains(names, field.Name) {
			return fmt.Errorf("%s: unknown keyword %s", s.Location, field.Name)
		}
	}
	if s.Ref != nil && s.Const != nil {
		return fmt.Errorf("%s: const beside $ref", s.Location)
	}
	return nil
}

func types(n *node, s *jsonschema.Schema) error {
	if s.Types == nil || s.Types.IsEmpty() {
		return nil
	}
	n.types = 0
	for _, name := range s.Types.ToStrings() {
		n.types |= map[string]kinds{
			"null": null, "boolean": boolean, "number": number, "integer": integer,
			"string": text, "array": array, "object": object,
		}[name]
	}
	return nil
}

func values(n *node, s *jsonschema.Schema) error {
	var list []any
	switch {
	case s.Enum != nil && s.Const != nil:
		return fmt.Errorf("%s: enum beside const", s.Location)
	case s.Enum != nil:
		list = s.Enum.Values
	case s.Const != nil:
		list = []any{*s.Const}
	default:
		return nil
	}
	n.values = make([]literal, 0, len(list))
	for _, v := range list {
		l, err := literalOf(v)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Location, err)
		}
		n.values = append(n.values, l)
	}
	return nil
}

func literalOf(v any) (literal, error) {
	switch v := v.(type) {
	case nil:
		return literal{kind: null, text: "null"}, nil
	case bool:
		return literal{kind: boolean, text: fmt.Sprint(v)}, nil
	case string:
		return literal{kind: text, text: v}, nil
	case map[string]any, []any:
		return literal{}, fmt.Errorf("a %T as a value", v)
	}
	r, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		return literal{}, fmt.Errorf("%v as a value", v)
	}
	d, err := decimalOf(r)
	return literal{kind: number, value: d}, err
}

// decimalOf is the decimal of up to 18 digits that r is.
func decimalOf(r *big.Rat) (decimal, error) {
	r = new(big.Rat).Set(r)
	ten := big.NewRat(10, 1)
	for exp := 0; exp > -18; exp-- {
		if r.IsInt() {
			if n := r.Num(); n.IsInt64() && len(n.Text(10)) <= 18 {
				return decimal{n.Int64(), exp}, nil
			}
			break
		}
		r.Mul(r, ten)
	}
	return decimal{}, fmt.Errorf("%s has too many digits", r)
}
