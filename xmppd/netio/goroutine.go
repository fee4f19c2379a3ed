package netio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/rawio"
)

// NewGoroutines returns the Strategy that gives each connection a goroutine.
func NewGoroutines() Strategy { return &goroutines{} }

type goroutines struct{ wg sync.WaitGroup }

// Adopt implements Strategy.
func (g *goroutines) Adopt(conn net.Conn) (Conn, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection of type %T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("descriptor of the connection: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("lift the deadline: %w", err)
	}
	c := &goroutineConn{conn: conn, raw: raw}
	c.writable = c.writeFD
	return c, nil
}

// Start implements Strategy.
func (g *goroutines) Start(conn Conn, h Handler) {
	c := conn.(*goroutineConn) //nolint:forcetypeassert // of Adopt
	g.wg.Go(func() {
		c.serve(h)
		h.End()
	})
}

// Close implements Strategy.
func (g *goroutines) Close() error {
	g.wg.Wait()
	return nil
}

// goroutineConn waits with the runtime's poller.
type goroutineConn struct {
	conn     net.Conn
	raw      syscall.RawConn
	writable func(uintptr) bool // writeFD, bound once
	aborted  atomic.Bool

	fd      uintptr // valid while the Handler runs
	failure error   // why it can't be read any more

	wp   []byte // being written
	wn   int
	werr error
	wait bool // stay until all is written
}

// serve calls the Handler until it is done.
func (c *goroutineConn) serve(h Handler) {
	var r Runner
	next := Soon
	// The Handler runs within Read, between the poller's reset and its wait: nothing that comes
	// meanwhile goes unnoticed.
	ready := func(fd uintptr) bool {
		c.fd = fd
		for next = Soon; next == Soon; {
			next = h.Ready(&r)
			r.endRound()
		}
		return next == Done
	}
	for {
		err := c.raw.Read(ready)
		if next == Done {
			return
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.failure = err
		} else if c.lift(); !c.aborted.Load() {
			continue // Wake has set the deadline
		}
		for next != Done {
			next = h.Ready(&r) // finds out in Read
			r.endRound()
		}
		return
	}
}

// lift takes away the deadline of Wake, but not that of an Abort.
func (c *goroutineConn) lift() {
	_ = c.conn.SetReadDeadline(time.Time{})
	if c.aborted.Load() {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// Read implements Conn.
func (c *goroutineConn) Read(p []byte) (int, error) {
	if c.aborted.Load() {
		return 0, ErrAborted
	}
	if c.failure != nil {
		return 0, c.failure
	}
	return readFD(c.fd, p)
}

// ReadWait implements Conn.
func (c *goroutineConn) ReadWait(p []byte, until time.Time) (int, error) {
	if c.aborted.Load() {
		return 0, ErrAborted
	}
	if err := c.conn.SetReadDeadline(until); err != nil {
		return 0, fmt.Errorf("set deadline: %w", err)
	}
	if c.aborted.Load() { // its deadline may have come before this one
		return 0, ErrAborted
	}
	n, err := c.conn.Read(p)
	if err != nil && c.aborted.Load() {
		err = ErrAborted
	}
	return n, err
}

func (c *goroutineConn) writeFD(fd uintptr) bool {
	n, err := writeFD(fd, c.wp[c.wn:])
	c.wn += n
	c.werr = err
	return !c.wait || !errors.Is(err, ErrAgain)
}

func (c *goroutineConn) write(p []byte, wait bool) (int, error) {
	if c.aborted.Load() {
		return 0, ErrAborted
	}
	c.wp, c.wn, c.werr, c.wait = p, 0, nil, wait
	err := c.raw.Write(c.writable)
	c.wp = nil
	switch {
	case err == nil:
		return c.wn, c.werr
	case c.aborted.Load():
		return c.wn, ErrAborted
	}
	return c.wn, err
}

// Write implements Conn.
func (c *goroutineConn) Write(p []byte) (int, error) { return c.write(p, false) }

// WriteWait implements Conn.
func (c *goroutineConn) WriteWait(p []byte) (int, error) { return c.write(p, true) }

// Abort implements Conn.
func (c *goroutineConn) Abort() {
	c.aborted.Store(true)
	_ = c.conn.SetDeadline(time.Unix(1, 0))
}

// Aborted implements Conn.
func (c *goroutineConn) Aborted() bool { return c.aborted.Load() }

// Resume implements Conn.
func (c *goroutineConn) Resume() {
	c.aborted.Store(false)
	_ = c.conn.SetDeadline(time.Time{})
}

// Wake implements Conn.
func (c *goroutineConn) Wake() {
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

// CloseWrite implements Conn.
func (c *goroutineConn) CloseWrite() error {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}

// Close implements Conn.
func (c *goroutineConn) Close() error { return c.conn.Close() }

// readFD reads once. A count of 0 comes with an error.
func readFD(fd uintptr, p []byte) (int, error) {
	for {
		n, err := rawio.Read(fd, p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err == syscall.EAGAIN: //nolint:errorlint // a bare errno, on a hot path
			return 0, ErrAgain
		case err != syscall.EINTR: //nolint:errorlint // the same
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// writeFD writes what the kernel takes; fewer than all bytes come with an error.
func writeFD(fd uintptr, p []byte) (n int, err error) {
	for n < len(p) {
		k, err := rawio.Write(fd, p[n:])
		switch {
		case k > 0:
			n += k
		case err == nil || err == syscall.EINTR: //nolint:errorlint // a bare errno, on a hot path
		case err == syscall.EAGAIN: //nolint:errorlint // the same
			return n, ErrAgain
		default:
			return n, os.NewSyscallError("write", err)
		}
	}
	return n, nil
}
