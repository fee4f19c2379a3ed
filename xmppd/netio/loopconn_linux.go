package netio

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// States of a connection.
const (
	fresh uint32 = iota // it has no Handler yet
	idle                // nobody runs its Handler
	busy                // somebody does
	more                // somebody does, and something has come since it was called
	done                // the Handler is not called any more
)

// loopConn is a connection of an event loop.
type loopConn struct {
	fd           int
	slot, serial int32
	loop         *loop
	h            Handler
	state        atomic.Uint32
	drained      bool        // the last Read has taken all; belongs to the reader
	ended        atomic.Bool // the peer has closed its half, or the connection has failed
	aborted      atomic.Bool
	failure      atomic.Pointer[error] // why it can't be waited for
	waiters      atomic.Pointer[waiters]
}

// waiters are told of edges while somebody waits; a connection on which nobody ever has waited
// has none.
type waiters struct{ readable, writable, abort chan struct{} }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// notify takes an event. It reports whether the Handler has to be called for it.
func (c *loopConn) notify(events uint32) bool {
	if events&ending != 0 {
		c.ended.Store(true)
	}
	if w := c.waiters.Load(); w != nil {
		if events&output != 0 {
			signal(w.writable)
		}
		if events&input != 0 {
			signal(w.readable)
		}
	}
	return events&input != 0
}

// serve runs the Handler, unless somebody does, who then runs it again.
func (c *loopConn) serve(r *Runner) {
	if !c.take() {
		return
	}
	for {
		c.drained = false
		switch next := c.h.Ready(r); {
		case next == Done:
			c.state.Store(done)
			r.Leave()
			c.h.End()
			return
		case next == Soon && !r.left: // after the others
			c.state.Store(idle)
			c.loop.later = append(c.loop.later, c)
			return
		case next == Soon:
			r.endRound() // there may be no end of it, and nobody else does what was put off
			continue
		}
		if c.state.CompareAndSwap(busy, idle) {
			return
		}
		c.state.Store(busy) // it was more
	}
}

// take makes the caller the one that runs the Handler, or has the one that does run it again.
func (c *loopConn) take() bool {
	for {
		switch c.state.Load() {
		case idle:
			if c.state.CompareAndSwap(idle, busy) {
				return true
			}
		case busy:
			if c.state.CompareAndSwap(busy, more) {
				return false
			}
		default:
			return false
		}
	}
}

// Read implements Conn.
func (c *loopConn) Read(p []byte) (int, error) {
	if c.aborted.Load() {
		return 0, ErrAborted
	}
	if err := c.failure.Load(); err != nil {
		return 0, *err
	}
	if c.drained {
		c.drained = false
		return 0, ErrAgain
	}
	n, err := readFD(uintptr(c.fd), p)
	// Less than asked for means that nothing is left, and the next byte makes an edge. After the
	// peer's end there is none, so the end itself has to be read.
	c.drained = n > 0 && n < len(p) && !c.ended.Load()
	return n, err
}

// Write implements Conn.
func (c *loopConn) Write(p []byte) (int, error) {
	if c.aborted.Load() {
		return 0, ErrAborted
	}
	return writeFD(uintptr(c.fd), p)
}

// waiting makes edges be told from now on. What has come before is found by trying again.
func (c *loopConn) waiting() *waiters {
	if w := c.waiters.Load(); w != nil {
		return w
	}
	w := &waiters{readable: make(chan struct{}, 1), writable: make(chan struct{}, 1), abort: make(chan struct{}, 2)}
	if c.waiters.CompareAndSwap(nil, w) {
		return w
	}
	return c.waiters.Load()
}

// ReadWait implements Conn.
func (c *loopConn) ReadWait(p []byte, until time.Time) (int, error) {
	w := c.waiting()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for {
		n, err := c.Read(p)
		if err != ErrAgain { //nolint:errorlint // our own
			return n, err
		}
		select {
		case <-w.readable:
		case <-w.abort:
		case <-timer.C:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// WriteWait implements Conn.
func (c *loopConn) WriteWait(p []byte) (n int, err error) {
	w := c.waiting()
	for {
		k, err := c.Write(p[n:])
		n += k
		if err != ErrAgain { //nolint:errorlint // our own
			return n, err
		}
		select {
		case <-w.writable:
		case <-w.abort:
		}
	}
}

// Abort implements Conn.
func (c *loopConn) Abort() {
	c.aborted.Store(true)
	if w := c.waiters.Load(); w != nil {
		signal(w.abort)
		signal(w.abort) // one for a reader, one for a writer
	}
	c.Wake()
}

// Aborted implements Conn.
func (c *loopConn) Aborted() bool { return c.aborted.Load() }

// Resume implements Conn.
func (c *loopConn) Resume() { c.aborted.Store(false) }

// Wake implements Conn.
func (c *loopConn) Wake() {
	if s := c.state.Load(); s != fresh && s != done { // Start wakes it anyway
		c.loop.wake(c)
	}
}

// CloseWrite implements Conn.
func (c *loopConn) CloseWrite() error {
	return os.NewSyscallError("shutdown", unix.Shutdown(c.fd, unix.SHUT_WR))
}

// Close implements Conn.
func (c *loopConn) Close() error {
	c.state.Store(done)
	c.loop.remove(c)
	return os.NewSyscallError("close", unix.Close(c.fd))
}
