package schema

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func textual(n *node, s *jsonschema.Schema) error {
	if s.MinLength == nil && s.MaxLength == nil && s.Pattern == nil && s.Format == nil {
		return nil
	}
	n.text = &textRules{min: limit(s.MinLength), max: limit(s.MaxLength), pattern: s.Pattern}
	switch {
	case s.Format == nil:
	case s.Format.Name == "uuid":
		n.text.format = uuidFormat
	case s.Format.Name == "date-time":
		n.text.format = dateTimeFormat
	default:
		return fmt.Errorf("%s: unknown format %s", s.Location, s.Format.Name)
	}
	return nil
}

// limit is the value of a keyword that is a length, or no.
func limit(n *int) int {
	if n == nil {
		return no
	}
	return *n
}

func numeric(n *node, s *jsonschema.Schema) error {
	var r numberRules
	for _, b := range []struct {
		at *big.Rat
		as bound
	}{
		{s.Minimum, bound{sign: -1}},
		{s.ExclusiveMinimum, bound{sign: -1, orEquals: true}},
		{s.Maximum, bound{sign: 1}},
		{s.ExclusiveMaximum, bound{sign: 1, orEquals: true}},
	} {
		if b.at == nil {
			continue
		}
		with, err := decimalOf(b.at)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Location, err)
		}
		b.as.with = with
		r.bounds = append(r.bounds, b.as)
	}
	if r.bounds != nil {
		n.number = &r
	}
	return nil
}

func (c *compiler) arrays(n *node, s *jsonschema.Schema) error {
	if s.Items == nil && s.MinItems == nil && s.MaxItems == nil {
		return nil
	}
	n.array = &arrayRules{min: limit(s.MinItems), max: limit(s.MaxItems), items: anything}
	switch items := s.Items.(type) {
	case nil:
	case *jsonschema.Schema:
		var err error
		n.array.items, err = c.compile(items)
		return err
	default:
		return fmt.Errorf("%s: items as a list", s.Location)
	}
	return nil
}

func (c *compiler) objects(n *node, s *jsonschema.Schema) error {
	if s.Properties == nil && s.Required == nil && s.AdditionalProperties == nil {
		return nil
	}
	r := &objectRules{others: anything}
	n.object = r
	switch more := s.AdditionalProperties.(type) {
	case bool:
		if !more {
			r.others = &node{}
		}
	case *jsonschema.Schema:
		var err error
		if r.others, err = c.compile(more); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		sub, err := c.compile(s.Properties[name])
		if err != nil {
			return err
		}
		r.members = append(r.members, member{name, sub})
	}
	var err error
	r.required, err = r.places(s.Required)
	return err
}

// places returns a set of members, and makes members of names that only have
// to be there.
func (r *objectRules) places(names []string) (set uint64, err error) {
	for _, name := range names {
		i := slices.IndexFunc(r.members, func(m member) bool { return m.name == name })
		if i < 0 {
			i = len(r.members)
			r.members = append(r.members, member{name, r.others})
		}
		set |= 1 << i
	}
	if len(r.members) > 64 {
		return 0, fmt.Errorf("%d properties", len(r.members))
	}
	return set, nil
}

func (c *compiler) combined(n *node, s *jsonschema.Schema) error {
	n.free = n.types == everything && n.values == nil && n.text == nil && n.number == nil && n.array == nil && n.object == nil
	anyOf := s.AnyOf
	if n.types == object && n.object != nil && anyOf != nil && !slices.ContainsFunc(anyOf, moreThanRequired) {
		// The idiom for "one of these": it needs no pass for each.
		for _, sub := range anyOf {
			set, err := n.object.places(sub.Required)
			if err != nil {
				return err
			}
			n.object.anyOf = append(n.object.anyOf, set)
		}
		anyOf = nil
	}
	for _, list := range []struct {
		from []*jsonschema.Schema
		to   *[]*node
	}{{s.AllOf, &n.all}, {anyOf, &n.any}, {s.OneOf, &n.one}} {
		for _, sub := range list.from {
			node, err := c.compile(sub)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, node)
		}
	}
	n.tag = tagOf(n.one)
	return nil
}

// moreThanRequired reports whether a schema has any other rule.
func moreThanRequired(s *jsonschema.Schema) bool {
	names := []string{"Required", "DraftVersion", "Location"}
	for field, value := range reflect.ValueOf(s).Elem().Fields() {
		if field.IsExported() && !value.IsZero() && !slices.Contains(names, field.Name) {
			return true
		}
	}
	return len(s.Required) == 0
}
