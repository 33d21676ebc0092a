package socketio

import "encoding/json"

// The payload of an event is an array whose elements go to different places:
// the name to the router, each argument to a decoder that knows its type. So
// it is checked once and cut, without building values.

// maxDepth bounds nesting, and so the stack of a scan.
const maxDepth = 512

// maxElements is how many elements of an array are told apart. Nobody has a
// use for more arguments, and each costs more than the bytes it came in.
const maxElements = 65

// splitArray checks that b is exactly one JSON array and returns its elements,
// the first of them if there are many.
func splitArray(b []byte) ([]json.RawMessage, error) {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '[' {
		return nil, malformed("payload is not an array")
	}
	elements := make([]json.RawMessage, 0, 2)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return elements, atEnd(b, i+1)
	}
	for {
		start := i
		i = value(b, i, 1)
		if i < 0 {
			return nil, malformed("payload is not JSON")
		}
		if len(elements) < maxElements {
			elements = append(elements, json.RawMessage(b[start:i:i]))
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return elements, atEnd(b, i+1)
		default:
			return nil, malformed("payload is not JSON")
		}
	}
}

func atEnd(b []byte, i int) error {
	if skipSpace(b, i) != len(b) {
		return malformed("something follows the payload")
	}
	return nil
}

// validJSON reports whether b is one JSON value.
func validJSON(b []byte) bool {
	i := value(b, skipSpace(b, 0), 0)
	return i >= 0 && skipSpace(b, i) == len(b)
}

// skipSpace returns the index of the next byte that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// value returns the index after the value that begins at i, -1 if there is none.
func value(b []byte, i, depth int) int {
	if i >= len(b) || depth > maxDepth {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		return str(b, i)
	case c == '{':
		return object(b, i, depth)
	case c == '[':
		return array(b, i, depth)
	case c == '-' || c >= '0' && c <= '9':
		return num(b, i)
	case c == 't':
		return literal(b, i, "true")
	case c == 'f':
		return literal(b, i, "false")
	case c == 'n':
		return literal(b, i, "null")
	}
	return -1
}

func literal(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func object(b []byte, i, depth int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for i < len(b) && b[i] == '"' {
		if i = str(b, i); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
			return -1
		}
		if i = value(b, skipSpace(b, i+1), depth+1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return -1
		case b[i] == '}':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = skipSpace(b, i+1)
	}
	return -1
}

func array(b []byte, i, depth int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = value(b, i, depth+1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return -1
		case b[i] == ']':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

// str expects a quote at i.
func str(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c == '\\':
			if i = escape(b, i); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// escape returns the index of the last byte of the escape sequence at i.
func escape(b []byte, i int) int {
	i++
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		for range 4 {
			if i++; i >= len(b) || !hex(b[i]) {
				return -1
			}
		}
		return i
	}
	return -1
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func num(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		if i = digits(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits expects at least one digit at i.
func digits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
