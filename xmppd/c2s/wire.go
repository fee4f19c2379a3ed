package c2s

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// wire writes to a TCP connection without waiting, and waits when asked to. It implements
// session.Transport: one goroutine at a time writes, another one reads.
type wire struct {
	conn  net.Conn
	raw   syscall.RawConn
	write func(uintptr) bool // writeFD, bound once

	p    []byte // what is being written
	n    int    // bytes of p that are written
	wait bool   // stay until all is written
	err  error
}

func (w *wire) init(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("connection of type %T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return fmt.Errorf("descriptor of the connection: %w", err)
	}
	w.conn, w.raw = conn, raw
	w.write = w.writeFD
	return nil
}

// writeFD is called with the descriptor when it may be writable. It returns false to be called
// again once it is.
func (w *wire) writeFD(fd uintptr) bool {
	for w.n < len(w.p) {
		n, err := writeNow(fd, w.p[w.n:])
		if n > 0 {
			w.n += n
		}
		switch {
		case err == nil, errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return !w.wait
		default:
			w.err = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

// push writes on. pending says that the kernel's buffer is full; with wait it never is.
func (w *wire) push(wait bool) (pending bool, err error) {
	w.wait = wait
	if err = w.raw.Write(w.write); err == nil {
		err = w.err
	}
	if err != nil || w.n == len(w.p) {
		w.p = nil
		return false, err
	}
	return true, nil
}

// TryWrite implements session.Transport.
func (w *wire) TryWrite(p []byte) (int, bool, error) {
	w.p, w.n = p, 0
	pending, err := w.push(false)
	return w.n, pending, err
}

// Finish implements session.Transport.
func (w *wire) Finish() (int, error) {
	_, err := w.push(true)
	return w.n, err
}

// Abort implements session.Transport. The connection is not closed: its reader does that.
func (w *wire) Abort() { _ = w.conn.SetDeadline(time.Unix(1, 0)) }
