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
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

const (
	readSize   = 16 << 10        // of a pooled read buffer
	lingerTime = 2 * time.Second // for the last words of a stream
	lingerRead = 1 << 20         // bytes of the peer that are discarded meanwhile
)

// boundStream is a stream with a session. Its loop owns it.
type boundStream struct {
	srv   *Server
	sess  *session.Session
	tcp   net.Conn
	tls   *tls.Conn // nil on a plain stream
	tap   *tap
	raw   syscall.RawConn
	read  func(uintptr) bool // readFD, bound once
	wire  wire
	scan  *stanza.Scanner // nil while nothing is unread
	batch session.Batch

	buf        *[]byte // nil while nothing is unread
	start, end int     // unread bytes of buf
	readErr    error
	first      [1]byte // TLS: what wakes the reader up
}

func newStream(s *Server, n *negotiation, sess *session.Session) (*boundStream, error) {
	st := &boundStream{srv: s, sess: sess, tcp: n.tcp, tls: n.tls, tap: n.tap}
	if err := st.wire.init(n.tcp); err != nil {
		return nil, err
	}
	var t session.Transport = &st.wire
	if n.tls != nil {
		n.tap.hold()
		tw := &tlsWire{tls: n.tls, tap: n.tap}
		if err := tw.wire.init(n.tcp); err != nil {
			return nil, err
		}
		t = tw
	} else {
		st.raw = st.wire.raw
		st.read = st.readFD
	}
	limit := s.cfg.MaxQueue
	if s.cfg.Trusted != nil && s.cfg.Trusted(sess.JID.Local) {
		limit = max(limit, s.cfg.MaxTrustedQueue)
	}
	sess.Out.Init(&s.chunks, t, limit, s.spawn)
	return st, nil
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
	st.batch.Flush() // the result of binding
	err := st.loop(ctx)
	st.batch.Flush()
	st.finish(ctx, err)
}

// loop reads and routes. It returns errStreamEnd, a *router.StreamError, or why the connection
// can't be read.
func (st *boundStream) loop(ctx context.Context) error {
	for {
		if err := st.handle(ctx); err != nil {
			return err
		}
		st.batch.Flush()
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
		case s.Kind == stanza.StreamEnd, s.Kind == stanza.Nonza && string(s.Get(s.Name)) == "stream:error":
			return errStreamEnd
		}
		if se := st.srv.cfg.Router.Route(ctx, st.sess, s, &st.batch); se != nil {
			return se
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

// finish ends the session: its presence is taken back, its peer told why, and what was not
// written to it goes back to the senders.
func (st *boundStream) finish(ctx context.Context, err error) {
	st.srv.cfg.Table.Unbind(st.sess)
	st.srv.cfg.Ended(ctx, st.sess)
	if reason := st.sess.Out.Reason(); reason != nil {
		err = reason // somebody else has ended the stream
	}
	var se *router.StreamError
	var last []byte
	switch {
	case errors.As(err, &se):
		last = appendStreamError(nil, se)
		st.srv.metrics.streamErrors.WithLabelValues(se.Condition).Inc()
	case errors.Is(err, errStreamEnd):
		last = []byte("</stream:stream>")
	case errors.Is(err, session.ErrOverflow):
		st.srv.metrics.overflows.Inc()
	}
	st.srv.log.Debug("stream ended", "jid", st.sess.Full, "reason", err)
	_ = st.tcp.SetDeadline(time.Now().Add(lingerTime))
	said := last != nil && st.sess.Out.Finish(last, lingerTime)
	st.wire.Abort()
	left, written := st.sess.Out.Close()
	var b session.Batch
	st.srv.cfg.Router.Return(left, written, &b)
	b.Flush()
	st.putBuf()
	if said {
		if st.tls != nil {
			st.tap.release()
		}
		linger(st.tcp, st.tls)
	}
	_ = st.tcp.Close()
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
