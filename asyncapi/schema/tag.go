package schema

import "slices"

// A tag is a member by whose value the alternatives of a oneOf exclude each
// other, such as the ok of an acknowledgement.
type tag struct {
	name   string
	values []*node // of each alternative
}

// tagOf finds a member that has fixed values in all alternatives, or returns
// nil. That they differ shows when they are used.
func tagOf(one []*node) *tag {
	if len(one) < 2 || one[0].object == nil {
		return nil
	}
	for _, m := range one[0].object.members {
		t := &tag{name: m.name}
		for _, n := range one {
			if v := n.fixed(m.name); v != nil {
				t.values = append(t.values, v)
			}
		}
		if len(t.values) == len(one) {
			return t
		}
	}
	return nil
}

// fixed returns the rule for a member that must have one of certain values.
func (n *node) fixed(name string) *node {
	if n.object == nil {
		return nil
	}
	i := slices.IndexFunc(n.object.members, func(m member) bool { return m.name == name })
	if i < 0 || n.object.members[i].node.values == nil {
		return nil
	}
	return n.object.members[i].node
}

// pick returns the only alternative that an object can match if its tag comes
// first, as it usually does, or no. Should the tag come again later, that
// alternative notices.
func (s *scanner) pick(t *tag, at int) int {
	if t == nil || s.raw[at] != '{' {
		return no
	}
	from := s.space(at + 1)
	end := from + len(t.name) + 2
	if end > len(s.raw) || s.raw[from] != '"' || string(s.raw[from+1:end-1]) != t.name || s.raw[end-1] != '"' {
		return no
	}
	if from = s.colon(end); from < 0 {
		return no
	}
	only := no
	for i, n := range t.values {
		if s.value(n, from) < 0 {
			continue
		}
		if only >= 0 {
			return no
		}
		only = i
	}
	return only
}
