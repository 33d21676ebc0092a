package bench

import "math/bits"

// A ledger is what one client has received of the publications 0, 1, 2, …
type ledger struct {
	got, told  bitset
	next       int // after the highest number that has come
	doubled    int64
	disordered int64
	gaps       int64
	// gap is what the server has said is missing, until the next publication.
	gap *span
	// at is the offset of the last publication, 0 if the server gives none.
	at uint64
}

// A span is a range of offsets, both ends included. An end that is 0 is not
// known.
type span struct{ From, To uint64 }

// take notes a publication. It reports whether it is new, and whether it came
// right after the one before.
func (l *ledger) take(seq int, offset uint64) (fresh, adjacent bool) {
	if !l.got.add(seq) {
		l.doubled++
		return false, false
	}
	if seq < l.next {
		l.disordered++
		return true, false
	}
	adjacent = seq == l.next
	if l.gap != nil && l.gap.covers(l.at, offset) {
		for missing := l.next; missing < seq; missing++ {
			l.told.add(missing)
		}
	}
	l.gap, l.next, l.at = nil, seq+1, offset
	return true, adjacent
}

// tell notes that the server has said that something is missing here.
func (l *ledger) tell(s span) {
	l.gaps++
	if l.gap != nil {
		s = span{min(s.From, l.gap.From), max(s.To, l.gap.To)}
	}
	l.gap = &s
}

// covers reports whether everything between two offsets is in the span.
func (s span) covers(after, before uint64) bool {
	return (after == 0 || s.From <= after+1) && (before == 0 || s.To == 0 || s.To >= before-1)
}

// settle returns, when all publications have been made, how many came, how many
// were told to be missing, and how many are missing without a word.
func (l *ledger) settle(published int) (delivered, told, lost int64) {
	if l.gap != nil {
		for missing := l.next; missing < published; missing++ {
			l.told.add(missing)
		}
	}
	for i, word := range l.got {
		delivered += int64(bits.OnesCount64(word))
		if i < len(l.told) {
			l.told[i] &^= word
		}
	}
	for _, word := range l.told {
		told += int64(bits.OnesCount64(word))
	}
	return delivered, told, int64(published) - delivered - told
}

// A bitset is a set of small numbers.
type bitset []uint64

// add reports whether n was not in the set.
func (s *bitset) add(n int) bool {
	for n/64 >= len(*s) {
		*s = append(*s, 0)
	}
	word, bit := &(*s)[n/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
