package expression

import "sync"

// Limits of a cache. The texts are kept, and what is made of them is some ten
// times as large.
const (
	cacheEntries = 2000
	cacheBytes   = 1 << 20 // of texts, in each of two generations
	cacheText    = 16 << 10
)

// A cache remembers what was made of texts, so that what a workflow does again
// and again is parsed once. It holds two generations: when the young one is
// full it becomes the old one, and what is asked for moves to the new young
// one. It may be used concurrently; what it holds must not change.
type cache[V any] struct {
	make func(text string) (V, error)

	mu         sync.Mutex
	young, old map[string]V
	bytes      int // of the texts in young
}

func newCache[V any](fn func(text string) (V, error)) *cache[V] {
	return &cache[V]{make: fn, young: map[string]V{}}
}

// get returns what the text makes. Failures and long texts are not remembered.
func (c *cache[V]) get(text string) (V, error) {
	if v, ok := c.find(text); ok {
		return v, nil
	}
	v, err := c.make(text)
	if err == nil && len(text) <= cacheText {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keep(text, v)
	}
	return v, err
}

func (c *cache[V]) find(text string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.young[text]
	if !ok {
		if v, ok = c.old[text]; ok {
			c.keep(text, v)
		}
	}
	return v, ok
}

func (c *cache[V]) keep(text string, v V) {
	if len(c.young) >= cacheEntries || c.bytes+len(text) > cacheBytes {
		c.old, c.young, c.bytes = c.young, map[string]V{}, 0
	}
	if _, twice := c.young[text]; !twice {
		c.bytes += len(text)
	}
	c.young[text] = v
}
