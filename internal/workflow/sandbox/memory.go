package sandbox

import (
	"context"
	"sync"

	"github.com/tetratelabs/wazero/experimental"
)

// memory is the memory of one instance. It grows by doubling, which copies, so
// that a small script is not charged for what a large one may take. Most need
// no more than the first piece; it is used again, since memory that the kernel
// has not to find and clear is had in a third of the time.
type memory struct {
	buf     []byte
	limit   uint64
	refused bool // whether more than the limit was asked for
	first   int  // bytes
	spare   *sync.Pool
}

var _ experimental.LinearMemory = (*memory)(nil)

// Reallocate implements [experimental.LinearMemory].
func (m *memory) Reallocate(size uint64) []byte {
	switch {
	case size > m.limit:
		m.refused = true
		return nil
	case m.buf == nil:
		m.buf = m.begin()
	}
	if size > uint64(cap(m.buf)) {
		grown := make([]byte, size, min(max(size, 2*uint64(cap(m.buf))), m.limit))
		copy(grown, m.buf)
		m.recycle()
		m.buf = grown
	}
	m.buf = m.buf[:size]
	return m.buf
}

func (m *memory) begin() []byte {
	if used, ok := m.spare.Get().(*[]byte); ok {
		return *used
	}
	return make([]byte, 0, m.first)
}

// recycle gives the first piece back. Nothing of the script stays in it.
func (m *memory) recycle() {
	if cap(m.buf) == m.first {
		used := m.buf[:0]
		clear(used[:m.first])
		m.spare.Put(&used)
	}
	m.buf = nil
}

// Free implements [experimental.LinearMemory].
func (m *memory) Free() { m.recycle() }

// use makes modules that are instantiated with the context use this memory.
func (m *memory) use(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory { return m }))
}
