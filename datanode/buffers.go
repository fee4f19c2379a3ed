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

// Bounds of commands: how many are kept (count), and of which room (bytes).
const (
	keepCommands = 256
	keepCommand  = 16 << 10
)

// commands recycles the memory of commands: raft copies them into its log. They
// come and go by the hundred, so a lock costs less here than what a pool allocates.
type commands struct {
	mu   sync.Mutex
	free [][]byte
}

// get returns an empty command, which may have no room yet.
func (c *commands) get() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.free)
	if n == 0 {
		return nil
	}
	cmd := c.free[n-1]
	c.free[n-1] = nil
	c.free = c.free[:n-1]
	return cmd
}

func (c *commands) put(cmd []byte) {
	if cap(cmd) > keepCommand {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) < keepCommands {
		c.free = append(c.free, cmd[:0])
	}
}
