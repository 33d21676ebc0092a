package chat

import (
	"maps"
	"sync"
	"time"
)

// Counts are numbers of a [Service] since it was made.
type Counts struct {
	Live  int              // turns that are being taken
	Ended map[Finish]int64 // turns, by why they ended
	// Prompt and Completion are the tokens that they took.
	Prompt, Completion int64
	// First counts turns by how long it took from their beginning until the
	// assistant said something: of each of [Buckets], in seconds, those that took
	// no longer. FirstCount is how many said anything, FirstSum of all.
	First      map[float64]uint64
	FirstCount uint64
	FirstSum   float64
	Unjudged   int64 // texts that the [Moderator] could not judge
	// Writes are what was written to streams, and Batches in how many transactions.
	Writes, Batches int64
}

// Buckets are the upper bounds of Counts.First, in seconds.
var Buckets = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// counter counts. It may be used concurrently.
type counter struct {
	mu sync.Mutex
	c  Counts
}

func newCounter() *counter {
	c := &counter{c: Counts{Ended: map[Finish]int64{}, First: map[float64]uint64{}}}
	for _, f := range []Finish{FinishStop, FinishLength, FinishStopped, FinishInterrupted, FinishError, FinishRefused} {
		c.c.Ended[f] = 0
	}
	for _, b := range Buckets {
		c.c.First[b] = 0
	}
	return c
}

// live notes that a turn is being taken, until the function that it returns is
// called.
func (c *counter) live() (done func()) {
	add := func(n int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.c.Live += n
	}
	add(1)
	return func() { add(-1) }
}

func (c *counter) ended(f Finish, u Usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.c.Ended[f]++
	c.c.Prompt += int64(u.Prompt)
	c.c.Completion += int64(u.Completion)
}

func (c *counter) first(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.c.FirstCount++
	c.c.FirstSum += after.Seconds()
	for _, b := range Buckets {
		if after.Seconds() <= b {
			c.c.First[b]++
		}
	}
}

func (c *counter) unjudged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.c.Unjudged++
}

// Counts returns the numbers of now.
func (s *Service) Counts() Counts {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	c := s.counts.c
	c.Ended, c.First = maps.Clone(c.Ended), maps.Clone(c.First)
	c.Writes, c.Batches = s.pieces.Counts()
	return c
}
