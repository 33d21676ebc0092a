package bench

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	take := func(seqs ...int) func(*ledger) {
		return func(l *ledger) {
			for _, seq := range seqs {
				l.take(seq, 0)
			}
		}
	}
	numbered := func(seq int, offset uint64) func(*ledger) {
		return func(l *ledger) { l.take(seq, offset) }
	}
	gap := func(from, to uint64) func(*ledger) {
		return func(l *ledger) { l.tell(span{from, to}) }
	}
	type counts struct{ delivered, told, lost, doubled, disordered int64 }
	for name, tt := range map[string]struct {
		steps []func(*ledger)
		want  counts
	}{
		"all of it":                   {[]func(*ledger){take(0, 1, 2, 3, 4)}, counts{5, 0, 0, 0, 0}},
		"nothing":                     {nil, counts{0, 0, 5, 0, 0}},
		"a hole":                      {[]func(*ledger){take(0, 1, 4)}, counts{3, 0, 2, 0, 0}},
		"no end":                      {[]func(*ledger){take(0, 1)}, counts{2, 0, 3, 0, 0}},
		"twice":                       {[]func(*ledger){take(0, 1, 1, 2, 3, 4, 0)}, counts{5, 0, 0, 2, 0}},
		"late":                        {[]func(*ledger){take(0, 2, 1, 3, 4)}, counts{5, 0, 0, 0, 1}},
		"told":                        {[]func(*ledger){take(0), gap(0, 0), take(3, 4)}, counts{3, 2, 0, 0, 0}},
		"told at the end":             {[]func(*ledger){take(0, 1, 2), gap(0, 0)}, counts{3, 2, 0, 0, 0}},
		"told too late":               {[]func(*ledger){take(0, 3), gap(0, 0), take(4)}, counts{3, 0, 2, 0, 0}},
		"told, and nothing missing":   {[]func(*ledger){take(0, 1), gap(0, 0), take(2, 3, 4)}, counts{5, 0, 0, 0, 0}},
		"told, and came after all":    {[]func(*ledger){take(0), gap(0, 0), take(2, 1, 3, 4)}, counts{5, 0, 0, 0, 1}},
		"told by offsets":             {[]func(*ledger){numbered(0, 7), gap(8, 9), numbered(3, 10), numbered(4, 11)}, counts{3, 2, 0, 0, 0}},
		"told by offsets, in parts":   {[]func(*ledger){numbered(0, 7), gap(8, 8), gap(9, 9), numbered(3, 10), numbered(4, 11)}, counts{3, 2, 0, 0, 0}},
		"told less than is missing":   {[]func(*ledger){numbered(0, 7), gap(8, 8), numbered(3, 10), numbered(4, 11)}, counts{3, 0, 2, 0, 0}},
		"told of something elsewhere": {[]func(*ledger){numbered(0, 7), gap(9, 9), numbered(3, 10), numbered(4, 11)}, counts{3, 0, 2, 0, 0}},
	} {
		var l ledger
		for _, step := range tt.steps {
			step(&l)
		}
		var got counts
		got.delivered, got.told, got.lost = l.settle(5)
		got.doubled, got.disordered = l.doubled, l.disordered
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestLastString(t *testing.T) {
	for event, want := range map[string]string{
		`["e",{"a":"b"},"1-2"]`: "1-2",
		`["e","1-2"]`:           "1-2",
		`["e"]`:                 "e",
		`["e",{"a":"b"}]`:       "",
		`["e",["a","b"]]`:       "",
		`["e","a\"b"]`:          "",
		`["e",1]`:               "",
	} {
		if got, ok := lastString([]byte(event)); string(got) != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", event, got, want)
		}
	}
}

func TestWithSince(t *testing.T) {
	for payload, want := range map[string]string{
		`"tenant:a"`:         `{"room":"tenant:a","since":{"epoch":"e","offset":3}}`,
		`{"instanceID":"i"}`: `{"instanceID":"i","since":{"epoch":"e","offset":3}}`,
	} {
		if got := withSince([]byte(payload), "e", 3); string(got) != want {
			t.Errorf("%s became %s", payload, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{rng: rand.New(rand.NewPCG(1, 2))}
	for range 1000 {
		for _, middle := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			if d := b.next(); d < min(middle/2, 5*time.Second) || d > min(middle*3/2, 5*time.Second) {
				t.Fatalf("%v, want %v half more or less, at most 5 s", d, middle)
			}
		}
		b.reset()
	}
}
