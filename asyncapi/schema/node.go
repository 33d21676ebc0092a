package schema

// kinds is a set of JSON types. A number that is whole is also an integer.
type kinds uint8

const (
	null kinds = 1 << iota
	boolean
	number
	integer
	text
	array
	object

	everything = null | boolean | number | integer | text | array | object
)

// A node is a schema: all of its rules hold.
type node struct {
	types  kinds
	values []literal // if any, the value is one of these
	text   *textRules
	number *numberRules
	array  *arrayRules
	object *objectRules

	all, any, one []*node
	tag           *tag // of one, if there is any
	// free nodes have no rules of their own, only those of all, any and one;
	// they need no pass of their own either.
	free bool
}

// A literal is a value of enum or const, as it is written.
type literal struct {
	kind  kinds
	text  string  // of strings what is between the quotes
	value decimal // of numbers
}

// value checks the value at an offset and returns the offset behind it, or no.
func (s *scanner) value(n *node, at int) int {
	if at >= len(s.raw) {
		return s.giveUp()
	}
	if n.all == nil && n.any == nil && n.one == nil {
		return s.plain(n, at)
	}
	if s.depth++; s.depth > maxDepth {
		return s.giveUp()
	}
	end := s.combined(n, at)
	s.depth--
	return end
}

// combined looks at the same value once for each schema that it is made of.
func (s *scanner) combined(n *node, at int) int {
	end := no
	if !n.free {
		if end = s.plain(n, at); end < 0 {
			return no
		}
	}
	for _, sub := range n.all {
		if end = s.value(sub, at); end < 0 {
			return no
		}
	}
	if n.any != nil {
		if end = s.anyOf(n.any, at); end < 0 {
			return no
		}
	}
	if n.one != nil {
		return s.oneOf(n, at)
	}
	return end
}

func (s *scanner) anyOf(subs []*node, at int) int {
	for _, sub := range subs {
		if end := s.value(sub, at); end >= 0 || s.unsure {
			return end
		}
	}
	return no
}

// oneOf is where calling a valid value invalid would do harm: it could make
// two matches one. While it is under way, no means no.
func (s *scanner) oneOf(n *node, at int) int {
	if only := s.pick(n.tag, at); only >= 0 && !s.unsure {
		return s.value(n.one[only], at)
	}
	s.exact++
	found, count := no, 0
	for _, sub := range n.one {
		if end := s.value(sub, at); end >= 0 {
			found = end
			count++
		}
		if s.unsure || count > 1 {
			found = no
			break
		}
	}
	s.exact--
	return found
}

// plain checks a value against the rules for its type.
func (s *scanner) plain(n *node, at int) int {
	switch c := s.raw[at]; {
	case c == '"':
		return s.text(n, at)
	case c == '{', c == '[':
		return s.container(n, at)
	case c == 't':
		return s.word(n, boolean, "true", at)
	case c == 'f':
		return s.word(n, boolean, "false", at)
	case c == 'n':
		return s.word(n, null, "null", at)
	}
	return s.number(n, at)
}

// word checks true, false and null.
func (s *scanner) word(n *node, kind kinds, word string, at int) int {
	end := at + len(word)
	if end > len(s.raw) || string(s.raw[at:end]) != word {
		return s.giveUp()
	}
	if n.types&kind == 0 || n.values != nil && !has(n.values, kind, word) {
		return no
	}
	return end
}

// has is generic so that bytes need no copy.
func has[T string | []byte](values []literal, kind kinds, as T) bool {
	for i := range values {
		if values[i].kind == kind && values[i].text == string(as) {
			return true
		}
	}
	return false
}
