package websocket

import "sync"

// buffers lends read buffers: small ones, and ones that hold the longest message.
type buffers struct {
	small, large sync.Pool
	max          int // bytes of the longest message
}

func (p *buffers) get(n int) *[]byte {
	pool, size := &p.small, readSize
	if n > readSize {
		pool, size = &p.large, p.max+readSize
	}
	if b, ok := pool.Get().(*[]byte); ok && cap(*b) >= n {
		return b
	}
	b := make([]byte, max(n, size))
	return &b
}

func (p *buffers) put(b *[]byte) {
	if cap(*b) <= readSize {
		p.small.Put(b)
	} else {
		p.large.Put(b)
	}
}
