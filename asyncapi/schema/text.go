package schema

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// textRules are the rules for strings. Lengths are in code points.
type textRules struct {
	min, max int // no if there is none
	format   format
	pattern  jsonschema.Regexp
}

// text checks a string.
func (s *scanner) text(n *node, at int) int {
	if n.types&text == 0 {
		return no
	}
	end, length, same := s.quoted(at)
	if end < 0 || n.values == nil && n.text == nil {
		return end
	}
	content := s.raw[at+1 : end-1]
	if !same && n.compares() {
		return s.giveUp()
	}
	if n.values != nil && !has(n.values, text, content) {
		return no
	}
	if r := n.text; r != nil {
		switch {
		case length < r.min, r.max >= 0 && length > r.max,
			!s.format(r.format, content),
			r.pattern != nil && !r.pattern.MatchString(string(content)):
			return no
		}
	}
	return end
}

// compares reports whether a rule looks at what a string says.
func (n *node) compares() bool {
	return n.values != nil || n.text != nil && (n.text.format != anyFormat || n.text.pattern != nil)
}

// quoted scans a string. It returns the offset behind it, its length in code
// points, and whether the bytes between the quotes are what it says. What is
// not UTF-8, or half of a surrogate pair, counts as encoding/json decodes it:
// as one replacement character.
func (s *scanner) quoted(at int) (end, length int, same bool) {
	raw, i, extra := s.raw, at+1, 0
	same = true
	for {
		i = ordinary(raw, i)
		switch c := s.next(i); {
		case c == '"':
			return i + 1, i - at - 1 - extra, same
		case c == '\\':
			width := escape(raw[i:])
			if width == 0 {
				return s.giveUp(), 0, false
			}
			i, extra, same = i+width, extra+width-1, false
		case c >= utf8.RuneSelf:
			_, width := utf8.DecodeRune(raw[i:])
			i, extra, same = i+width, extra+width-1, same && width > 1
		default:
			return s.giveUp(), 0, false // the end, or a control character
		}
	}
}

// ordinary returns the offset of the next byte that is not an ASCII character
// which stands for itself. It looks at eight at a time: a byte's high bit is
// set in stop if it is outside of ASCII, less than a space, '"' or '\\'; bits
// above the lowest may be wrong, for differences borrow.
func ordinary(raw []byte, i int) int {
	const each = 0x0101010101010101
	for i+8 <= len(raw) {
		w := binary.LittleEndian.Uint64(raw[i:])
		stop := (w | (w - each*' ') | ((w ^ each*'"') - each) | ((w ^ each*'\\') - each)) & (each * 0x80)
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
		i += 8
	}
	for i < len(raw) && raw[i] >= ' ' && raw[i] < utf8.RuneSelf && raw[i] != '"' && raw[i] != '\\' {
		i++
	}
	return i
}

// escape returns the width of the escape that b begins with, two of them if
// they are a surrogate pair, or 0.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	}
	first := unit(b)
	switch {
	case first < 0:
		return 0
	case utf16.DecodeRune(first, unit(b[6:])) != utf8.RuneError:
		return 12
	}
	return 6
}

// unit decodes \uXXXX, or returns -1.
func unit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
