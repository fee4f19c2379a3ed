package c2s

import "github.com/rosterdb/rosterdb/xmppd/netio"

// wire writes to a TCP connection without waiting, and waits when asked to. It implements
// session.Transport: one goroutine at a time writes, another one reads.
type wire struct {
	conn netio.Conn
	p    []byte // what is being written
	n    int    // bytes of p that are written
}

// push writes on. pending says that the kernel's buffer is full; with wait it never is.
func (w *wire) push(wait bool) (pending bool, err error) {
	var n int
	if wait {
		n, err = w.conn.WriteWait(w.p[w.n:])
	} else {
		n, err = w.conn.Write(w.p[w.n:])
	}
	w.n += n
	if err == netio.ErrAgain { //nolint:errorlint // on a hot path; Write returns it as it is
		return true, nil
	}
	w.p = nil
	return false, err
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
func (w *wire) Abort() { w.conn.Abort() }
