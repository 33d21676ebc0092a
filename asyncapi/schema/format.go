package schema

// A format is one that this package knows. Like the library, it asserts them,
// and the ones that the library does not know are no rules.
type format uint8

const (
	anyFormat format = iota
	uuidFormat
	dateTimeFormat
)

// format checks the content of a string.
func (s *scanner) format(f format, content []byte) bool {
	switch {
	case f == uuidFormat:
		return uuid(content)
	case f == dateTimeFormat && !dateTime(content):
		s.giveUp()
		return false
	}
	return true
}

func uuid(b []byte) bool {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return false
	}
	for i, c := range b {
		if !hex[c] && (i != 8 && i != 13 && i != 18 && i != 23) {
			return false
		}
	}
	return true
}

var hex = func() (is [256]bool) {
	for _, c := range "0123456789abcdefABCDEF" {
		is[c] = true
	}
	return is
}()

// dateTime takes the moments of RFC 3339 that everybody agrees on. The
// library decides about the others, such as leap seconds.
func dateTime(b []byte) bool {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return false
	}
	if pair(b) < 0 || pair(b[2:]) < 0 || !within(b[5:], 1, 12) || !within(b[8:], 1, 28) && !late(b) {
		return false
	}
	if !within(b[11:], 0, 23) || !within(b[14:], 0, 59) || !within(b[17:], 0, 59) {
		return false
	}
	b = b[19:]
	if b[0] == '.' {
		digits := 1
		for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
			digits++
		}
		if digits == 1 {
			return false
		}
		b = b[digits:]
	}
	switch {
	case len(b) == 1:
		return b[0] == 'Z'
	case len(b) == len("+00:00"):
		return (b[0] == '+' || b[0] == '-') && within(b[1:], 0, 23) && b[3] == ':' && within(b[4:], 0, 59)
	}
	return false
}

// late reports whether a date is one of the last days that its month has in
// every year.
func late(b []byte) bool {
	switch month := pair(b[5:]); month {
	case 2:
		return false
	case 4, 6, 9, 11:
		return within(b[8:], 29, 30)
	default:
		return within(b[8:], 29, 31)
	}
}

func within(b []byte, low, high int) bool {
	n := pair(b)
	return n >= low && n <= high
}

// pair reads two digits, or returns -1.
func pair(b []byte) int {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return -1
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}
