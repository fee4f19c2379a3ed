package c2s

import (
	"context"
	"crypto/tls"
	"errors"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

const (
	readSize    = 16 << 10        // of a pooled read buffer
	readsAtOnce = 4               // before other streams have their turn
	lingerTime  = 2 * time.Second // for the last words of a stream
	lingerRead  = 1 << 20         // bytes of the peer that are discarded meanwhile
)

// boundStream is a stream with a session, and the netio.Handler of its connection: whoever runs that
// owns it.
type boundStream struct {
	Stream
	conn netio.Conn
	tls  *tls.Conn // nil on a plain stream
	tap  *tap
	scan *stanza.Scanner // nil while nothing is unread

	buf        *[]byte // nil while nothing is unread
	start, end int     // unread bytes of buf
	err        error   // why the stream ends

	// Times of Server.now; 0: not the case.
	paused  int64 // it is not read until then
	begun   int64 // the unfinished stanza in buf has begun then
	checkAt int64 // a timer wakes the stream then, to look at begun
}

// newStream makes the stream of a connection and what writes to it; the Stream in it comes later.
func newStream(f *tcpFraming) (*boundStream, session.Transport, error) {
	conn, err := f.srv.cfg.IO.Adopt(f.tcp)
	if err != nil {
		return nil, nil, err
	}
	st := &boundStream{conn: conn, tls: f.tls, tap: f.tap}
	if f.tls != nil {
		f.tap.adopt(conn)
		return st, &tlsWire{wire: wire{conn: conn}, tls: f.tls, tap: f.tap}, nil
	}
	return st, &wire{conn: conn}, nil
}

// keep takes over what the negotiation has read ahead.
func (st *boundStream) keep(rest []byte) {
	if len(rest) == 0 {
		return
	}
	st.buf = st.srv.getBuf(len(rest))
	st.end = copy((*st.buf)[:cap(*st.buf)], rest)
}

// Ready implements netio.Handler: it reads and routes until nothing is left, or long enough.
func (st *boundStream) Ready(r *netio.Runner) netio.Next {
	batch, ok := r.Local.(*session.Batch)
	if !ok {
		batch = new(session.Batch)
		batch.OnBlock(r.Leave)
		r.Local = batch
		r.AfterRound(batch.Flush)
	}
	st.batch = batch // written after the round, for all streams that had something to read
	switch {
	case st.conn.Aborted():
		return st.done(netio.ErrAborted)
	case st.resting():
		return netio.Wait
	}
	n := 0
	for range readsAtOnce {
		stanzas, err := st.handle(st.srv.ctx)
		if err != nil {
			return st.done(err)
		}
		if pause := st.Spend(stanzas, n); pause > 0 {
			st.rest(pause)
			return netio.Wait
		}
		switch n, err = st.fill(); {
		case err == netio.ErrAgain: //nolint:errorlint // on a hot path; crypto/tls returns it as it is
			return st.wait(stanzas)
		case err != nil:
			return st.done(err)
		}
	}
	return netio.Soon
}

func (st *boundStream) done(err error) netio.Next {
	st.err = err
	return netio.Done
}

// End implements netio.Handler: it cleans up behind the stream.
func (st *boundStream) End() {
	st.batch = new(session.Batch)
	st.conn.Resume() // for the last words
	if errors.Is(st.err, syscall.ETIMEDOUT) {
		st.srv.metrics.dead.Inc()
	}
	said := st.Finish(st.srv.ctx, st.err)
	st.putBuf()
	if said {
		st.conn.Resume()
		st.linger()
	}
	_ = st.conn.Close()
	st.Leave()
}

// handle routes the whole stanzas that are in the buffer, and counts them.
func (st *boundStream) handle(ctx context.Context) (stanzas int, err error) {
	if st.scan == nil {
		st.scan = st.srv.getScanner()
	}
	for st.start < st.end {
		s, n, err := st.scan.Next((*st.buf)[st.start:st.end])
		st.start += n
		switch {
		case err != nil:
			return stanzas, xmlstream.Error(err)
		case s == nil && n == 0:
			return stanzas, nil
		case s == nil:
			continue
		}
		stanzas++
		if err := st.Route(ctx, s); err != nil {
			return stanzas, err
		}
	}
	st.start, st.end = 0, 0
	return stanzas, nil
}

// fill reads more bytes, behind those of an unfinished stanza if there are any. Between stanzas it
// keeps nothing: an idle stream has neither buffer nor scanner.
func (st *boundStream) fill() (n int, err error) {
	if st.buf == nil {
		st.buf = st.srv.getBuf(0)
	} else {
		st.room()
	}
	if room := (*st.buf)[st.end:cap(*st.buf)]; st.tls != nil {
		n, err = st.tls.Read(room)
	} else {
		n, err = st.conn.Read(room)
	}
	if st.end += n; n > 0 {
		return n, nil
	}
	if st.end == 0 {
		st.putBuf()
		st.srv.scanners.Put(st.scan)
		st.scan = nil
	}
	return 0, err
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
// the connection, and the peer could lose the last words.
func (st *boundStream) linger() {
	until := time.Now().Add(lingerTime)
	if st.tls != nil {
		_ = st.tls.CloseWrite() // without TLS's own end the peer can't tell an end from a cut
		if alert := st.tap.take(); alert != nil {
			_, _ = st.conn.Write(*alert)
		}
	}
	_ = st.conn.CloseWrite()
	buf := st.srv.getBuf(0)
	defer st.srv.putBuf(buf)
	for left := lingerRead; left > 0; {
		n, err := st.conn.ReadWait((*buf)[:cap(*buf)], until)
		if err != nil {
			return
		}
		left -= n
	}
}
