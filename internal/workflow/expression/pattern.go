package expression

import (
	"context"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Go's regular expressions take time that is linear in the text, times the size
// of what the pattern becomes, which is far larger than the pattern.
const (
	maxPattern  = 1000        // bytes
	maxProgram  = 5000        // instructions
	maxMatching = 100_000_000 // bytes of text, times instructions, in one value
)

var errMatching = fmt.Errorf("the regular expressions take too long: texts and patterns are too large, with more than %d steps", maxMatching)

// A pattern is a regular expression, and about how many instructions it has.
type pattern struct {
	*regexp.Regexp
	size int
}

// patterns remembers regular expressions.
var patterns = newCache(compilePattern)

func compilePattern(source string) (pattern, error) {
	if len(source) > maxPattern {
		return pattern{}, fmt.Errorf("the regular expression is longer than %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return pattern{}, err
	}
	size := programSize(parsed)
	if size > maxProgram {
		return pattern{}, fmt.Errorf("the regular expression becomes larger than %d instructions: it repeats too much", maxProgram)
	}
	re, err := regexp.Compile(source)
	return pattern{re, size}, err
}

// programSize is about how many instructions an expression becomes. It need
// not count beyond what is too many.
func programSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)/8 // of a class, several ranges are looked at
	if re.Op == syntax.OpLiteral {
		size = len(re.Rune)
	}
	for _, sub := range re.Sub {
		size += programSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, maxProgram+1)
}

// CheckPattern reports what is wrong with a regular expression, or that it is
// too large.
func CheckPattern(source string) error {
	_, err := patterns.get(source)
	return err
}

// Match reports whether a text contains a match of a regular expression. It
// takes a second or two at most.
func Match(text, source string) (bool, error) {
	g := guard{ctx: context.Background()}
	return g.match(text, source)
}

func (g *guard) match(text, source string) (bool, error) {
	p, err := patterns.get(source)
	if err != nil {
		return false, err
	}
	g.matched += p.size * (len(text) + 1)
	if g.matched > maxMatching {
		return false, errMatching
	}
	if err := g.interrupted(); err != nil {
		return false, err
	}
	return p.MatchString(text), nil
}

// matches is the operator. As in the language, nothing matches nothing.
func (g *guard) matches(args []any) (any, error) {
	if args[0] == nil || args[1] == nil {
		return false, nil
	}
	source, ok := args[1].(string)
	if !ok {
		return nil, fmt.Errorf("matches: %T is not a regular expression", args[1])
	}
	switch text := args[0].(type) {
	case string:
		return g.match(text, source)
	case []byte:
		return g.match(string(text), source)
	}
	return nil, fmt.Errorf("matches: %T is not text", args[0])
}
