package schema

// no is returned instead of an offset when a value is not valid.
const no = -1

// maxDepth bounds recursion, of values and of schemas that contain themselves.
const maxDepth = 512

// A scanner is one pass over one value.
type scanner struct {
	raw   []byte
	depth int
	// exact counts the oneOfs under way.
	exact int
	// unsure is set when the pass could not come to a verdict: it is no JSON,
	// or see the package comment.
	unsure bool
}

func (s *scanner) giveUp() int {
	s.unsure = true
	return no
}

// whole checks the value that is all of the input.
func (s *scanner) whole(n *node) bool {
	end := s.value(n, s.space(0))
	if end >= 0 && s.space(end) < len(s.raw) {
		end = s.giveUp()
	}
	return end >= 0
}

// space returns the offset of the next byte that is not white space.
func (s *scanner) space(at int) int {
	for at < len(s.raw) {
		switch s.raw[at] {
		case ' ', '\t', '\n', '\r':
			at++
		default:
			return at
		}
	}
	return at
}

// next is the byte at an offset, or 0 at the end, which is no JSON anywhere.
func (s *scanner) next(at int) byte {
	if at < len(s.raw) {
		return s.raw[at]
	}
	return 0
}

// colon returns the offset of the value that belongs to the name before at.
func (s *scanner) colon(at int) int {
	if at = s.space(at); s.next(at) != ':' {
		return s.giveUp()
	}
	return s.space(at + 1)
}

// open returns the offset behind an opening bracket, or behind the closing one
// if nothing is between, which is the end.
func (s *scanner) open(at int, closing byte) (next int, end bool) {
	if at = s.space(at + 1); s.next(at) == closing {
		return at + 1, true
	}
	return at, false
}

// more returns the offset behind the comma at an offset, or behind the closing
// bracket, which is the end.
func (s *scanner) more(at int, closing byte) (next int, end bool) {
	at = s.space(at)
	switch s.next(at) {
	case ',':
		return s.space(at + 1), false
	case closing:
		return at + 1, true
	}
	return s.giveUp(), true
}

// skip passes over a value of any kind.
func (s *scanner) skip(at int) int { return s.value(anything, at) }

var anything = &node{types: everything}
