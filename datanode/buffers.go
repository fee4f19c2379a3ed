package datanode

import "sync"

// keepBuffer is the largest buffer that is kept for the next stanza, in bytes.
const keepBuffer = 1 << 20

// buffers recycles the buffers that stanzas are built in, or taken apart into.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, 16<<10)
}

func (b *buffers) put(buf []byte) {
	if cap(buf) <= keepBuffer {
		b.pool.Put(&buf)
	}
}
