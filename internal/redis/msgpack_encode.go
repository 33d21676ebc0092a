package redis

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested. It keeps what others send from
// using up the stack.
const maxDepth = 512

var (
	errDepth = errors.New("nested too deeply")
	errJSON  = errors.New("not JSON")
)

// appendMsgpack appends JSON as MessagePack. {"_placeholder":true,"num":n}
// becomes the attachment n.
func appendMsgpack(dst, js []byte, attachments [][]byte) ([]byte, error) {
	e := encoder{scanner: scanner{in: js}, out: dst, attachments: attachments}
	if err := e.value(0); err != nil {
		return dst, err
	}
	if e.next() != 0 {
		return dst, errJSON
	}
	return e.out, nil
}

type encoder struct {
	scanner
	out         []byte
	attachments [][]byte
}

func (e *encoder) value(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	switch c := e.next(); {
	case c == '{':
		if num, ok := e.placeholder(); ok && num < len(e.attachments) {
			e.out = appendBin(e.out, e.attachments[num])
			return nil
		}
		return e.container(depth, '}', 0x80, 0xde, true)
	case c == '[':
		return e.container(depth, ']', 0x90, 0xdc, false)
	case c == '"':
		return e.text()
	case e.literal("null"):
		e.out = append(e.out, 0xc0)
	case e.literal("false"):
		e.out = append(e.out, 0xc2)
	case e.literal("true"):
		e.out = append(e.out, 0xc3)
	default:
		return e.number()
	}
	return nil
}

// container encodes an object or an array. There is room for the shortest
// header; a longer one moves what is behind it.
func (e *encoder) container(depth int, end, short, long byte, keys bool) error {
	start, n := len(e.out), 0
	e.out = append(e.out, 0)
	for e.at++; e.next() != end; n++ {
		if n > 0 && !e.skip(',') {
			return errJSON
		}
		if keys {
			if e.next() != '"' {
				return errJSON
			}
			if err := e.text(); err != nil {
				return err
			}
			if !e.skip(':') {
				return errJSON
			}
		}
		if err := e.value(depth + 1); err != nil {
			return err
		}
	}
	e.at++
	switch {
	case n < 16:
		e.out[start] = short | byte(n)
	case n <= math.MaxUint16:
		e.open(start, 2)
		e.out[start] = long
		binary.BigEndian.PutUint16(e.out[start+1:], uint16(n))
	default:
		e.open(start, 4)
		e.out[start] = long + 1
		binary.BigEndian.PutUint32(e.out[start+1:], uint32(n))
	}
	return nil
}

// open makes room after the first byte of a header.
func (e *encoder) open(start, n int) {
	end := len(e.out)
	e.out = append(e.out, make([]byte, n)...)
	copy(e.out[start+1+n:], e.out[start+1:end])
}

func (e *encoder) text() error {
	s, ok := e.str()
	if !ok {
		return errJSON
	}
	e.out = appendStr(e.out, s)
	return nil
}

// number writes whole numbers as such as far as 64 bits go.
func (e *encoder) number() error {
	start := e.at
	for e.at < len(e.in) && isNumeric(e.in[e.at]) {
		e.at++
	}
	text := string(e.in[start:e.at])
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		e.out = appendInt(e.out, i)
		return nil
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		e.out = binary.BigEndian.AppendUint64(append(e.out, 0xcf), u)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errJSON
	}
	e.out = binary.BigEndian.AppendUint64(append(e.out, 0xcb), math.Float64bits(f))
	return nil
}

func isNumeric(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func appendInt(b []byte, i int64) []byte {
	switch {
	case i >= -32 && i < 128:
		return append(b, byte(i))
	case i >= 0 && i <= math.MaxUint8:
		return append(b, 0xcc, byte(i))
	case i >= 0 && i <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(i))
	case i >= 0 && i <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(i))
	case i >= 0:
		return binary.BigEndian.AppendUint64(append(b, 0xcf), uint64(i))
	case i >= math.MinInt8:
		return append(b, 0xd0, byte(i))
	case i >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(i))
	case i >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(i))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(i))
}

func appendStr(b, s []byte) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	return append(b, s...)
}

func appendBin(b, bin []byte) []byte {
	switch n := len(bin); {
	case n <= math.MaxUint8:
		b = append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xc5), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	return append(b, bin...)
}

// A scanner reads JSON from left to right.
type scanner struct {
	in []byte
	at int
}

// next returns the next byte that is not white space, and 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.in); s.at++ {
		switch c := s.in[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) skip(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) literal(word string) bool {
	if s.next(); len(s.in)-s.at < len(word) || string(s.in[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// str reads a string that begins here.
func (s *scanner) str() ([]byte, bool) {
	start := s.at + 1
	for i := start; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			s.at = i + 1
			return s.in[start:i], true
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads the rest of a string whose first escape is at i.
func (s *scanner) escaped(start, i int) ([]byte, bool) {
	text := append([]byte(nil), s.in[start:i]...)
	for i < len(s.in) {
		switch c := s.in[i]; {
		case c == '"':
			s.at = i + 1
			return text, true
		case c < ' ':
			return nil, false
		case c != '\\':
			text = append(text, c)
			i++
		case i+1 < len(s.in) && escapes[s.in[i+1]] != 0:
			text = append(text, escapes[s.in[i+1]])
			i += 2
		default:
			r, ok := s.unicode(i)
			if !ok {
				return nil, false
			}
			i += 6
			if r >= 0xd800 && r < 0xdc00 { // the first half of a pair
				if low, ok := s.unicode(i); ok && low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
					i += 6
				}
			}
			text = utf8.AppendRune(text, r) // halves alone become U+FFFD
		}
	}
	return nil, false
}

// unicode reads \uXXXX.
func (s *scanner) unicode(i int) (rune, bool) {
	if i+6 > len(s.in) || s.in[i] != '\\' || s.in[i+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.in[i+2:i+6]), 16, 32)
	return rune(n), err == nil
}

// placeholder reads an object that stands for an attachment. If it is any other
// object the scanner stays before it.
func (s *scanner) placeholder() (num int, ok bool) {
	start := s.at
	var marked, numbered bool
	for sep := byte('{'); s.skip(sep); sep = ',' {
		switch {
		case !marked && s.literal(`"_placeholder"`) && s.skip(':') && s.literal("true"):
			marked = true
		case !numbered && s.literal(`"num"`) && s.skip(':'):
			s.next()
			digits := s.at
			for s.at < len(s.in) && '0' <= s.in[s.at] && s.in[s.at] <= '9' {
				s.at++
			}
			n, err := strconv.Atoi(string(s.in[digits:s.at]))
			num, numbered = n, err == nil
			if err != nil {
				s.at = start
				return 0, false
			}
		default:
			s.at = start
			return 0, false
		}
	}
	if marked && numbered && s.skip('}') {
		return num, true
	}
	s.at = start
	return 0, false
}
