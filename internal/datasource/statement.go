package datasource

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A statement is what is known of an SQL text without a database.
type statement struct {
	verb  string   // its first word, in capitals
	names []string // of parameters, each once
}

// reading and writing are how statements begin. What is not here changes a
// session, a file or a server rather than rows.
var (
	reading = []string{"SELECT", "TABLE", "VALUES", "WITH"}
	writing = []string{"CALL", "DELETE", "INSERT", "MERGE", "REPLACE", "UPDATE"}
)

// parse reads an SQL text. The databases have the last word on what it means;
// what they are given is one statement that begins like one that reads, or
// writes where that is allowed.
func parse(sql, driver string, write bool) (statement, error) {
	if strings.Contains(sql, "{{") {
		return statement{}, errors.New("cannot hold a template: write @name where a value belongs (and a nested array as ARRAY[…])")
	}
	s := &scanner{rest: sql, postgres: driver == Postgres}
	if err := s.scan(); err != nil {
		return statement{}, err
	}
	allowed := reading
	if write {
		allowed = append(slices.Clone(reading), writing...)
	}
	switch {
	case s.verb == "":
		return statement{}, errors.New("is missing")
	case slices.Contains(writing, s.verb) && !write:
		return statement{}, fmt.Errorf("begins with %s, and a query may only read unless it is configured with write: true", s.verb)
	case !slices.Contains(allowed, s.verb):
		return statement{}, fmt.Errorf("begins with %s and not with one of %s", s.verb, strings.Join(allowed, ", "))
	}
	return s.statement, nil
}

// scanner finds words and parameters outside of texts and comments.
type scanner struct {
	statement
	rest     string
	postgres bool
	ended    bool // by a semicolon
}

func (s *scanner) scan() error {
	for s.rest != "" {
		n, err := s.token()
		if err != nil {
			return err
		}
		s.rest = s.rest[n:]
	}
	return nil
}

// token returns the length of what comes next.
func (s *scanner) token() (int, error) {
	c := s.rest[0]
	switch {
	case strings.ContainsRune(" \t\r\n\f\v", rune(c)):
		return 1, nil
	case strings.HasPrefix(s.rest, "--"):
		return s.line(), nil
	case strings.HasPrefix(s.rest, "/*"):
		return s.comment()
	case c == ';':
		s.ended = true
		return 1, nil
	case s.ended:
		return 0, errors.New("holds several statements, and only one may be run")
	case c == '\'':
		return s.quoted('\'', false)
	case c == '"', c == '`' && !s.postgres:
		return s.quoted(c, false)
	case c == '[' && !s.postgres:
		return s.until("]", 1)
	case s.postgres && (c == 'e' || c == 'E') && strings.HasPrefix(s.rest[1:], "'"):
		n, err := (&scanner{rest: s.rest[1:]}).quoted('\'', true)
		return n + 1, err
	case s.postgres && c == '$':
		return s.dollar()
	case c == '@' && len(s.rest) > 1 && begins(s.rest[1]):
		return s.parameter(), nil
	case begins(c):
		n := word(s.rest, true)
		if s.verb == "" {
			s.verb = strings.ToUpper(s.rest[:n])
		}
		return n, nil
	}
	if s.verb == "" && c != '(' {
		s.verb = string(c)
	}
	return 1, nil
}

// parameter notes the name of a parameter.
func (s *scanner) parameter() int {
	n := 1 + word(s.rest[1:], false)
	if name := s.rest[1:n]; !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
	return n
}

func (s *scanner) line() int {
	ends := "\n"
	if s.postgres {
		ends = "\r\n"
	}
	if n := strings.IndexAny(s.rest, ends); n >= 0 {
		return n
	}
	return len(s.rest)
}

// comment is nested in PostgreSQL, and not in SQLite.
func (s *scanner) comment() (int, error) {
	for depth, i := 0, 0; i+1 < len(s.rest); i++ {
		switch s.rest[i : i+2] {
		case "/*":
			if depth == 0 || s.postgres {
				depth++
			}
			i++
		case "*/":
			if depth--; depth == 0 {
				return i + 2, nil
			}
			i++
		}
	}
	return 0, errors.New("a comment is not closed")
}

// quoted is a text or name, in which the quote is doubled.
func (s *scanner) quoted(quote byte, backslash bool) (int, error) {
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '\\' && backslash:
			i++
		case c == quote && i+1 < len(s.rest) && s.rest[i+1] == quote:
			i++
		case c == quote:
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("a text or name in %c is not closed", quote)
}

// dollar is a text in dollar quotes, or a dollar sign.
func (s *scanner) dollar() (int, error) {
	n := 1
	if len(s.rest) > 1 && begins(s.rest[1]) {
		n += word(s.rest[1:], false)
	}
	if n == len(s.rest) || s.rest[n] != '$' {
		return 1, nil
	}
	return s.until(s.rest[:n+1], n+1)
}

// until ends with the next end after from.
func (s *scanner) until(end string, from int) (int, error) {
	n := strings.Index(s.rest[from:], end)
	if n < 0 {
		return 0, fmt.Errorf("%s is missing", end)
	}
	return from + n + len(end), nil
}

// begins reports whether a word or name begins with a byte.
func begins(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

// word is the length of the word at the beginning of a text.
func word(s string, dollars bool) int {
	for i := range len(s) {
		if c := s[i]; !begins(c) && (c < '0' || c > '9') && !(dollars && c == '$') {
			return i
		}
	}
	return len(s)
}
