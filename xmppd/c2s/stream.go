package c2s

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

const (
	readSize   = 16 << 10        // of a pooled read buffer
	lingerTime = 2 * time.Second // for the last words of a stream
	lingerRead = 1 << 20         // bytes of the peer that are discarded meanwhile
)

// boundStream is a stream with a session. Its loop owns it.
type boundStream struct {
	Stream
	tcp  net.Conn
	tls  *tls.Conn // nil on a plain stream
	tap  *tap
	raw  syscall.RawConn
	read func(uintptr) bool // readFD, bound once
	wire wire
	scan *stanza.Scanner // nil while nothing is unread

	buf        *[]byte // nil while nothing is unread
	start, end int     // unread bytes of buf
	readErr    error
	first      [1]byte // TLS: what wakes the reader up
}

// newStream makes the stream of a connection and what writes to it; the Stream in it comes later.
func newStream(f *tcpFraming) (*boundStream, session.Transport, error) {
	st := &boundStream{tcp: f.tcp, tls: f.tls, tap: f.tap}
	if err := st.wire.init(f.tcp); err != nil {
		return nil, nil, err
	}
	if f.tls != nil {
		f.tap.hold()
		tw := &tlsWire{tls: f.tls, tap: f.tap}
		return st, tw, tw.wire.init(f.tcp)
	}
	st.raw = st.wire.raw
	st.read = st.readFD
	return st, &st.wire, nil
}

// keep takes over what the negotiation has read ahead.
func (st *boundStream) keep(rest []byte) {
	if len(rest) == 0 {
		return
	}
	st.buf = st.srv.getBuf(len(rest))
	st.end = copy((*st.buf)[:cap(*st.buf)], rest)
}

// serve reads stanzas until the stream ends, and cleans up behind it.
func (st *boundStream) serve(ctx context.Context) {
	st.Flush() // the result of binding
	err := st.loop(ctx)
	_ = st.tcp.SetDeadline(time.Now().Add(lingerTime))
	said := st.Finish(ctx, err)
	st.putBuf()
	if said {
		if st.tls != nil {
			st.tap.release()
		}
		linger(st.tcp, st.tls)
	}
	_ = st.tcp.Close()
}

// loop reads and routes. It returns ErrEnd, a *router.StreamError, or why the connection
// can't be read.
func (st *boundStream) loop(ctx context.Context) error {
	for {
		if err := st.handle(ctx); err != nil {
			return err
		}
		st.Flush()
		if err := st.fill(); err != nil {
			return err
		}
	}
}

// handle routes the whole stanzas that are in the buffer.
func (st *boundStream) handle(ctx context.Context) error {
	if st.scan == nil {
		st.scan = st.srv.getScanner()
	}
	for st.start < st.end {
		s, n, err := st.scan.Next((*st.buf)[st.start:st.end])
		st.start += n
		switch {
		case err != nil:
			return scanError(err)
		case s == nil && n == 0:
			return nil
		case s == nil:
			continue
		}
		if err := st.Route(ctx, s); err != nil {
			return err
		}
	}
	st.start, st.end = 0, 0
	return nil
}

// fill reads more bytes, behind those of an unfinished stanza if there are any. While it waits for
// the first byte of a stanza it holds no buffer.
func (st *boundStream) fill() error {
	if st.start == st.end {
		// Between two stanzas the scanner remembers nothing: an idle stream has none.
		st.srv.scanners.Put(st.scan)
		st.scan = nil
		st.putBuf()
	} else {
		st.room()
	}
	if st.tls != nil {
		return st.fillTLS()
	}
	st.readErr = nil
	if err := st.raw.Read(st.read); err != nil {
		return err
	}
	return st.readErr
}

// readFD is called with the descriptor when it may be readable; false waits until it is.
func (st *boundStream) readFD(fd uintptr) bool {
	if st.buf == nil {
		st.buf = st.srv.getBuf(0)
	}
	for {
		n, err := readNow(fd, (*st.buf)[st.end:cap(*st.buf)])
		switch {
		case n > 0:
			st.end += n
			return true
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if st.end == 0 {
				st.putBuf()
			}
			return false
		case err != nil:
			st.readErr = err
		default:
			st.readErr = io.EOF
		}
		return true
	}
}

// fillTLS reads the first byte of a stanza without a buffer; the next call takes the rest of the
// record, which is there already.
func (st *boundStream) fillTLS() error {
	if st.buf != nil {
		n, err := st.tls.Read((*st.buf)[st.end:cap(*st.buf)])
		st.end += n
		if n > 0 {
			return nil
		}
		return err
	}
	n, err := st.tls.Read(st.first[:])
	if n == 0 {
		return err
	}
	st.buf = st.srv.getBuf(0)
	(*st.buf)[:1][0] = st.first[0]
	st.end = 1
	return nil
}

// room makes place for more of an unfinished stanza.
func (st *boundStream) room() {
	b := (*st.buf)[:cap(*st.buf)]
	switch {
	case st.start > 0:
		st.end = copy(b, b[st.start:st.end])
		st.start = 0
	case st.end == len(b):
		big := st.srv.getBuf(2 * len(b))
		copy((*big)[:cap(*big)], b)
		old := st.buf
		st.buf = big
		st.srv.putBuf(old)
	}
}

func (st *boundStream) putBuf() {
	if st.buf != nil {
		st.srv.putBuf(st.buf)
		st.buf = nil
	}
	st.start, st.end = 0, 0
}

// linger closes our half and reads on for a while: closing at once would make the kernel reset
// the connection, and the peer could lose the last words. secure is nil on a plain stream.
func linger(c net.Conn, secure *tls.Conn) {
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	if secure != nil {
		_ = secure.CloseWrite() // without TLS's own end the peer can't tell an end from a cut
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c, lingerRead)
}
