package c2s

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

// tap stands between TLS and the connection. During the handshake it passes everything on. Once
// held it keeps what TLS writes instead of writing it, so that the sealed bytes can be written
// without waiting. Once adopted it is held, and reads without waiting, too.
type tap struct {
	net.Conn            // nil once adopted
	nb       netio.Conn // once adopted
	pool     *sync.Pool // of *[]byte
	lead     int        // bytes of white space that may still come before TLS; only Read uses it
	mu       sync.Mutex
	held     bool
	out      *[]byte
}

// maxKept bounds what TLS may write by itself: a peer that asks for new keys again and again gets
// an answer each time.
const maxKept = 2 * sealPiece

// errKept ends the connection of such a peer.
var errKept = errors.New("too many answers of TLS wait for a write")

// Read drops white space before the first record, which never begins with any (RFC 8446 section
// 5.1). What else is there TLS refuses itself.
func (t *tap) Read(p []byte) (int, error) {
	if t.nb != nil {
		return t.nb.Read(p)
	}
	for {
		n, err := t.Conn.Read(p)
		if t.lead <= 0 || n == 0 {
			return n, err
		}
		space := xmlstream.SkipSpace(p[:min(n, t.lead)], 0)
		t.lead -= space
		if space < n {
			t.lead = 0
			return copy(p, p[space:n]), err
		}
		if err != nil {
			return 0, err
		}
	}
}

func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.held {
		return t.Conn.Write(p)
	}
	if t.out == nil {
		t.out, _ = t.pool.Get().(*[]byte)
		if t.out == nil {
			t.out = new([]byte)
		}
	}
	if len(*t.out)+len(p) > maxKept {
		return 0, errKept
	}
	*t.out = append(*t.out, p...)
	return len(p), nil
}

// adopt makes the tap one of a connection that doesn't wait.
func (t *tap) adopt(c netio.Conn) {
	t.mu.Lock()
	t.Conn, t.nb, t.held = nil, c, true
	t.mu.Unlock()
}

// hold begins to keep what is written.
func (t *tap) hold() {
	t.mu.Lock()
	t.held = true
	t.mu.Unlock()
}

// release writes from now on. What was kept is dropped: it belongs to text that has been given up.
func (t *tap) release() {
	t.mu.Lock()
	t.held, t.out = false, nil
	t.mu.Unlock()
}

// SetWriteDeadline is asked for by TLS's own end, which is kept like everything else.
func (t *tap) SetWriteDeadline(d time.Time) error {
	if t.nb != nil {
		return nil
	}
	return t.Conn.SetWriteDeadline(d)
}

// take returns what was kept; nil if nothing was.
func (t *tap) take() *[]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.out
	t.out = nil
	return out
}

// sealPiece bounds how much text is sealed at once, and so how much is in doubt when the connection
// breaks: a piece counts as written when all of its records are with the kernel.
const sealPiece = 64 << 10

// tlsWire is a wire through TLS.
type tlsWire struct {
	wire   wire
	tls    *tls.Conn
	tap    *tap
	text   []byte  // being written
	sealed int     // bytes of text that went through TLS
	sent   int     // bytes of text whose records are with the kernel
	buf    *[]byte // records being written
}

// TryWrite implements session.Transport.
func (w *tlsWire) TryWrite(p []byte) (int, bool, error) {
	w.text, w.sealed, w.sent = p, 0, 0
	return w.step(false)
}

// Finish implements session.Transport.
func (w *tlsWire) Finish() (int, error) {
	n, _, err := w.step(true)
	return n, err
}

// Abort implements session.Transport.
func (w *tlsWire) Abort() { w.wire.Abort() }

func (w *tlsWire) step(wait bool) (int, bool, error) {
	for {
		if w.buf != nil {
			pending, err := w.wire.push(wait)
			if pending || err != nil {
				return w.sent, pending, err
			}
			*w.buf = (*w.buf)[:0]
			w.tap.pool.Put(w.buf)
			w.buf = nil
			w.sent = w.sealed
		}
		if w.sealed == len(w.text) {
			w.text = nil
			return w.sent, false, nil
		}
		piece := w.text[w.sealed:min(len(w.text), w.sealed+sealPiece)]
		if _, err := w.tls.Write(piece); err != nil {
			return w.sent, false, err
		}
		w.sealed += len(piece)
		w.buf = w.tap.take()
		w.wire.p, w.wire.n = *w.buf, 0
	}
}
