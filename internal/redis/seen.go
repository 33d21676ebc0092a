package redis

// windowSize is how many numbers of a sender are remembered. What is sent again
// was among the last [maxBatch] that it sent.
const windowSize = 4096

// A window remembers the latest numbers of a sender.
type window struct {
	high uint64 // the highest
	bits [windowSize / 64]uint64
}

// add reports whether a number is new. One that is older than all that are
// remembered is not.
func (w *window) add(seq uint64) bool {
	switch {
	case seq > w.high:
		if seq-w.high >= windowSize {
			w.bits = [windowSize / 64]uint64{}
		} else {
			for n := w.high + 1; n < seq; n++ {
				w.bits[n%windowSize/64] &^= 1 << (n % 64)
			}
		}
		w.high = seq
	case w.high-seq >= windowSize || w.bits[seq%windowSize/64]&(1<<(seq%64)) != 0:
		return false
	}
	w.bits[seq%windowSize/64] |= 1 << (seq % 64)
	return true
}

// maxSenders is how many senders are remembered at least. Each process is a new
// one.
const maxSenders = 512

// seen tells what has been delivered. It forgets the senders that have been
// silent while maxSenders others were heard.
type seen struct{ recent, older map[string]*window }

// add reports whether a message is new.
func (s *seen) add(from string, seq uint64) bool {
	w := s.recent[from]
	if w == nil {
		if w = s.older[from]; w == nil {
			w = &window{}
		}
		if s.recent == nil || len(s.recent) >= maxSenders {
			s.older, s.recent = s.recent, make(map[string]*window)
		}
		s.recent[from] = w
	}
	return w.add(seq)
}
