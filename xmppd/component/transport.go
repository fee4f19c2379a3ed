package component

import (
	"net"
	"time"
)

// transport implements session.Transport with a blocking connection: the outbox's goroutine writes.
type transport struct {
	conn net.Conn
	p    []byte
}

// TryWrite implements session.Transport: everything is left to Finish.
func (t *transport) TryWrite(p []byte) (int, bool, error) {
	t.p = p
	return 0, true, nil
}

// Finish implements session.Transport.
func (t *transport) Finish() (int, error) {
	n, err := t.conn.Write(t.p)
	t.p = nil
	return n, err
}

// Abort implements session.Transport.
func (t *transport) Abort() { _ = t.conn.SetDeadline(time.Unix(1, 0)) }
