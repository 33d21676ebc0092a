package schema

// arrayRules are the rules for arrays.
type arrayRules struct {
	min, max int // no if there is none
	items    *node
}

// objectRules are the rules for objects.
type objectRules struct {
	members []member
	// required, and each of anyOf, are sets of members by their places.
	required uint64
	anyOf    []uint64
	// others holds for what is not among the members.
	others *node
}

type member struct {
	name string
	node *node
}

// container checks an object or an array.
func (s *scanner) container(n *node, at int) (end int) {
	if s.depth++; s.depth > maxDepth {
		return s.giveUp()
	}
	switch {
	case n.values != nil: // they have none
		end = no
	case s.raw[at] == '{' && n.types&object != 0:
		end = s.object(n.object, at)
	case s.raw[at] == '[' && n.types&array != 0:
		end = s.array(n.array, at)
	default:
		end = no
	}
	s.depth--
	return end
}

// object checks an object.
func (s *scanner) object(r *objectRules, at int) int {
	var seen uint64
	failed := false
	at, end := s.open(at, '}')
	for !end {
		rule, from := s.name(r, at, &seen)
		if from < 0 {
			return no
		}
		next := no
		if !failed {
			next = s.value(rule, from)
		}
		if next < 0 {
			if s.unsure || s.exact == 0 {
				return no
			}
			// The same name may come again with a value that is valid.
			failed = true
			if next = s.skip(from); next < 0 {
				return no
			}
		}
		if at, end = s.more(next, '}'); at < 0 {
			return no
		}
	}
	if failed || r != nil && !r.complete(seen) {
		return no
	}
	return at
}

// name reads the name of a member. It returns the rule for the value and where
// the value begins, or no.
func (s *scanner) name(r *objectRules, at int, seen *uint64) (*node, int) {
	if s.next(at) != '"' {
		return nil, s.giveUp()
	}
	end, _, same := s.quoted(at)
	if end < 0 {
		return nil, no
	}
	from := s.colon(end)
	if r == nil || from < 0 {
		return anything, from
	}
	rule, known := r.find(s.raw[at+1 : end-1])
	switch {
	case !same:
		return nil, s.giveUp()
	case *seen&known != 0:
		return nil, s.giveUp() // the last one counts
	case known == 0 && s.exact > 0 && rule != anything && rule.types != 0:
		return nil, s.giveUp() // one that comes twice would not be noticed
	}
	*seen |= known
	return rule, from
}

// find returns the rule for a member, and its place as a set of one.
func (r *objectRules) find(name []byte) (*node, uint64) {
	for i := range r.members {
		if m := &r.members[i]; len(m.name) == len(name) && m.name == string(name) {
			return m.node, 1 << i
		}
	}
	return r.others, 0
}

func (r *objectRules) complete(seen uint64) bool {
	if seen&r.required != r.required {
		return false
	}
	for _, all := range r.anyOf {
		if seen&all == all {
			return true
		}
	}
	return r.anyOf == nil
}

// array checks an array.
func (s *scanner) array(r *arrayRules, at int) int {
	items, count := anything, 0
	if r != nil {
		items = r.items
	}
	at, end := s.open(at, ']')
	for !end {
		next := s.value(items, at)
		if next < 0 {
			return no
		}
		count++
		if at, end = s.more(next, ']'); at < 0 {
			return no
		}
	}
	if r != nil && (count < r.min || r.max >= 0 && count > r.max) {
		return no
	}
	return at
}
