package cluster

import (
	"cmp"
	"strconv"
	"strings"
)

// An ID is a place in the order of a namespace: that of an entry of a Redis
// stream, followed by a number of this server for what is not in the stream.
type ID struct {
	Ms, Seq uint64
	Sub     uint64
}

// IsZero reports whether id is before everything.
func (id ID) IsZero() bool { return id == ID{} }

// Compare returns -1, 0 or 1.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Ms, other.Ms), cmp.Compare(id.Seq, other.Seq), cmp.Compare(id.Sub, other.Sub))
}

// Append appends ms-seq, or ms-seq.sub.
func (id ID) Append(b []byte) []byte {
	b = strconv.AppendUint(b, id.Ms, 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, id.Seq, 10)
	if id.Sub > 0 {
		b = append(b, '.')
		b = strconv.AppendUint(b, id.Sub, 10)
	}
	return b
}

func (id ID) String() string { return string(id.Append(nil)) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, bool) {
	var id ID
	s, sub, hasSub := strings.Cut(s, ".")
	ms, seq, ok := strings.Cut(s, "-")
	if !ok || !parse(ms, &id.Ms) || !parse(seq, &id.Seq) || hasSub && !parse(sub, &id.Sub) {
		return ID{}, false
	}
	return id, true
}

func parse(s string, n *uint64) bool {
	v, err := strconv.ParseUint(s, 10, 64)
	*n = v
	return err == nil && s[0] != '+'
}
