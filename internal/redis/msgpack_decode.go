package redis

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	errMsgpack     = errors.New("not MessagePack")
	errPlaceholder = errors.New("a placeholder that stands for nothing")
)

// bins says what becomes of binary values.
type bins int

const (
	attach bins = iota // {"_placeholder":true,"num":n}, and an attachment
	inline             // {"type":"Buffer","data":[…]}, as JSON.stringify has them
)

// fromMsgpack returns MessagePack as JSON, and the attachments that its
// placeholders stand for. They are parts of b.
func fromMsgpack(b []byte, how bins) (js []byte, attachments [][]byte, err error) {
	d := decoder{in: b, out: make([]byte, 0, len(b)+len(b)/4+16), how: how}
	if err := d.value(0); err != nil {
		return nil, nil, err
	}
	if d.at != len(b) {
		return nil, nil, errMsgpack
	}
	// A client that gets a placeholder without its attachment closes the
	// connection.
	if d.forged && len(d.attachments) > 0 {
		return nil, nil, errPlaceholder
	}
	return d.out, d.attachments, nil
}

type decoder struct {
	in          []byte
	at          int
	out         []byte
	attachments [][]byte
	how         bins
	forged      bool // a map has the key _placeholder
}

// take returns the next n bytes.
func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.in)-d.at {
		return nil, errMsgpack
	}
	b := d.in[d.at : d.at+n]
	d.at += n
	return b, nil
}

// uint reads a number of 1, 2, 4 or 8 bytes.
func (d *decoder) uint(size int) (uint64, error) {
	b, err := d.take(size)
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n, nil
}

func (d *decoder) value(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	c, err := d.uint(1)
	if err != nil {
		return err
	}
	switch {
	case c < 0x80:
		d.out = strconv.AppendUint(d.out, c, 10)
	case c < 0x90:
		return d.object(int(c&0x0f), depth)
	case c < 0xa0:
		return d.array(int(c&0x0f), depth)
	case c < 0xc0:
		return d.str(int(c & 0x1f))
	case c >= 0xe0:
		d.out = strconv.AppendInt(d.out, int64(int8(c)), 10)
	default:
		return d.typed(byte(c), depth)
	}
	return nil
}

// typed reads a value whose type is a byte of its own.
func (d *decoder) typed(c byte, depth int) error {
	switch c {
	case 0xc0:
		d.out = append(d.out, "null"...)
		return nil
	case 0xc2, 0xc3:
		d.out = strconv.AppendBool(d.out, c == 0xc3)
		return nil
	case 0xc4, 0xc5, 0xc6:
		return d.sized(1<<(c-0xc4), d.bin)
	case 0xc7, 0xc8, 0xc9:
		return d.sized(1<<(c-0xc7), d.ext)
	case 0xca, 0xcb:
		return d.float(4 << (c - 0xca))
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, err := d.uint(1 << (c - 0xcc))
		d.out = strconv.AppendUint(d.out, n, 10)
		return err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := 1 << (c - 0xd0)
		n, err := d.uint(size)
		shift := 64 - 8*size
		d.out = strconv.AppendInt(d.out, int64(n<<shift)>>shift, 10)
		return err
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return d.ext(1 << (c - 0xd4))
	case 0xd9, 0xda, 0xdb:
		return d.sized(1<<(c-0xd9), d.str)
	case 0xdc, 0xdd:
		return d.sized(2<<(c-0xdc), func(n int) error { return d.array(n, depth) })
	case 0xde, 0xdf:
		return d.sized(2<<(c-0xde), func(n int) error { return d.object(n, depth) })
	}
	return errMsgpack
}

// sized reads a length, and then what has it.
func (d *decoder) sized(size int, read func(n int) error) error {
	n, err := d.uint(size)
	if err != nil {
		return err
	}
	return read(int(n))
}

func (d *decoder) array(n, depth int) error {
	d.out = append(d.out, '[')
	for i := range n {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if err := d.value(depth + 1); err != nil {
			return err
		}
	}
	d.out = append(d.out, ']')
	return nil
}

func (d *decoder) object(n, depth int) error {
	d.out = append(d.out, '{')
	for i := range n {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if err := d.key(); err != nil {
			return err
		}
		d.out = append(d.out, ':')
		if err := d.value(depth + 1); err != nil {
			return err
		}
	}
	d.out = append(d.out, '}')
	return nil
}

// key reads a key, which in JSON is always a string.
func (d *decoder) key() error {
	start := len(d.out)
	if err := d.value(maxDepth); err != nil {
		return err
	}
	switch key := d.out[start:]; {
	case key[0] == '"':
		d.forged = d.forged || string(key) == `"_placeholder"`
	case key[0] == '{' || key[0] == '[':
		return errMsgpack
	default:
		d.out = append(append(append(d.out[:start:start], '"'), key...), '"')
	}
	return nil
}

func (d *decoder) str(n int) error {
	s, err := d.take(n)
	d.out = appendJSONString(d.out, string(s))
	return err
}

func (d *decoder) bin(n int) error {
	b, err := d.take(n)
	if err != nil {
		return err
	}
	if d.how == inline {
		d.out = append(d.out, `{"type":"Buffer","data":[`...)
		for i, c := range b {
			if i > 0 {
				d.out = append(d.out, ',')
			}
			d.out = strconv.AppendUint(d.out, uint64(c), 10)
		}
		d.out = append(d.out, "]}"...)
		return nil
	}
	d.out = append(d.out, `{"_placeholder":true,"num":`...)
	d.out = strconv.AppendInt(d.out, int64(len(d.attachments)), 10)
	d.out = append(d.out, '}')
	d.attachments = append(d.attachments, b)
	return nil
}

func (d *decoder) float(size int) error {
	n, err := d.uint(size)
	f := math.Float64frombits(n)
	if size == 4 {
		f = float64(math.Float32frombits(uint32(n)))
	}
	d.out = appendFloat(d.out, f)
	return err
}

// appendFloat writes a number as JSON.stringify does.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case f == 0:
		return append(b, '0') // also if it is negative
	case math.IsNaN(f), math.IsInf(f, 0):
		return append(b, "null"...)
	}
	if abs := math.Abs(f); abs < 1e-6 || abs >= 1e21 {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// ext reads the extensions that JavaScript encoders make: dates, and what
// notepack once made of undefined, dates and ArrayBuffers.
func (d *decoder) ext(n int) error {
	kind, err := d.take(1)
	if err != nil {
		return err
	}
	at := d.at
	b, err := d.take(n)
	if err != nil {
		return err
	}
	switch {
	case kind[0] == 0xff && n == 4:
		d.date(int64(binary.BigEndian.Uint32(b)), 0)
	case kind[0] == 0xff && n == 8:
		v := binary.BigEndian.Uint64(b)
		d.date(int64(v&(1<<34-1)), int64(v>>34))
	case kind[0] == 0xff && n == 12:
		d.date(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))
	case kind[0] == 0 && n == 1:
		d.out = append(d.out, "null"...)
	case kind[0] == 0 && n == 8:
		ms := int64(binary.BigEndian.Uint64(b))
		d.date(ms/1000, ms%1000*int64(time.Millisecond))
	case kind[0] == 0:
		d.at = at
		return d.bin(n)
	default:
		return errMsgpack
	}
	return nil
}

// maxDate is the end of what Date can hold, in seconds.
const maxDate = 8_640_000_000_000

// date writes a date as its toISOString, and one that is none as null.
func (d *decoder) date(s, ns int64) {
	if s > maxDate || s < -maxDate || ns < -int64(time.Second) || ns > int64(time.Second) {
		d.out = append(d.out, "null"...)
		return
	}
	t := time.Unix(s, ns).UTC()
	d.out = append(d.out, '"')
	switch y := t.Year(); {
	case y < 0:
		d.out = append(d.out, '-')
		d.out = pad(d.out, -y, 6)
	case y > 9999:
		d.out = append(d.out, '+')
		d.out = pad(d.out, y, 6)
	default:
		d.out = pad(d.out, y, 4)
	}
	d.out = t.AppendFormat(d.out, "-01-02T15:04:05.000Z")
	d.out = append(d.out, '"')
}

func pad(b []byte, n, width int) []byte {
	digits := strconv.Itoa(n)
	for range width - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}

const hexDigits = "0123456789abcdef"

// appendJSONString quotes a string. What is not UTF-8 becomes U+FFFD: a client
// closes the connection at text that is not.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			if short := strings.IndexByte("\"\\\b\f\n\r\t", c); short >= 0 {
				b = append(b, '\\', `"\bfnrt`[short])
			} else {
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			start = i + 1
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
