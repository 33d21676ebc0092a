package bench

import (
	"math"
	"math/rand/v2"
	"time"
)

// backoff is how long the stock client waits between attempts to come back:
// a second, doubled with each attempt, at most five, half more or less.
type backoff struct {
	rng      *rand.Rand
	attempts int
}

func (b *backoff) next() time.Duration {
	const first, most, deviation = time.Second, 5 * time.Second, 0.5
	d := float64(first) * math.Pow(2, float64(b.attempts))
	d += d * deviation * (2*b.rng.Float64() - 1)
	b.attempts = min(b.attempts+1, 16)
	return time.Duration(min(d, float64(most)))
}

func (b *backoff) reset() { b.attempts = 0 }
