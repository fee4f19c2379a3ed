package websocket

import (
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// pieceSize bounds how much of a run is in frames at once.
const pieceSize = 64 << 10

// piece is a part of a run in frames. Pieces are pooled.
type piece struct {
	frames []byte
	ends   []boundary
	scan   *stanza.Scanner
}

// boundary says that what ends at frames in the frames ends at run in the run.
type boundary struct{ frames, run int }

// writer is a session.Transport that puts each element of a run into a message of its own. Control
// frames of the reader go out between two pieces.
type writer struct {
	conn   net.Conn
	low    session.Transport
	pieces *sync.Pool // *piece

	// Of the goroutine that writes:
	run    []byte
	framed int // bytes of run that are in frames
	sent   int // bytes of run that are with the kernel
	cur    *piece
	begun  bool // low is writing cur
	behind bool // TryWrite found a control frame on its way: nothing is written yet

	mu      sync.Mutex
	free    sync.Cond // signalled when busy turns false
	busy    bool      // somebody writes
	waiting []byte    // a control frame for whoever writes; a later one takes its place
	aborted bool
}

func newWriter(conn net.Conn, low session.Transport, pieces *sync.Pool) *writer {
	w := &writer{conn: conn, low: low, pieces: pieces}
	w.free.L = &w.mu
	return w
}

// TryWrite implements session.Transport.
func (w *writer) TryWrite(p []byte) (int, bool, error) {
	w.run, w.framed, w.sent = p, 0, 0
	w.mu.Lock()
	w.behind = w.busy
	w.busy = true
	w.mu.Unlock()
	if w.behind {
		return 0, true, nil
	}
	return w.step(false)
}

// Finish implements session.Transport.
func (w *writer) Finish() (int, error) {
	if w.behind {
		w.mu.Lock()
		for w.busy {
			w.free.Wait()
		}
		w.busy = true
		w.mu.Unlock()
		w.behind = false
	}
	n, _, err := w.step(true)
	return n, err
}

// Abort implements session.Transport.
func (w *writer) Abort() {
	w.mu.Lock()
	w.aborted = true
	w.low.Abort()
	w.mu.Unlock()
}

func (w *writer) isAborted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.aborted
}

// readDeadline lets the reader wait for d, and not at all once the connection is aborted: the
// negotiation may have lifted the deadline of an Abort.
func (w *writer) readDeadline(d time.Duration) {
	w.mu.Lock()
	until := time.Now().Add(d)
	if w.aborted {
		until = time.Unix(1, 0)
	}
	_ = w.conn.SetReadDeadline(until)
	w.mu.Unlock()
}

// step writes on. With wait it stays until all is written.
func (w *writer) step(wait bool) (n int, pending bool, err error) {
	for w.cur != nil || w.frame() {
		if w.begun {
			n, err = w.low.Finish()
		} else if n, w.begun, err = w.low.TryWrite(w.cur.frames); w.begun && err == nil {
			if !wait {
				return w.sent, true, nil
			}
			continue
		}
		w.sent = max(w.sent, w.cur.runAt(n))
		w.begun = false
		w.pieces.Put(w.cur)
		w.cur = nil
		if err != nil {
			w.run = nil
			w.idle()
			break
		}
	}
	return w.sent, false, err
}

// runAt is how many bytes of the run the first n bytes of the frames stand for.
func (p *piece) runAt(n int) (run int) {
	for _, e := range p.ends {
		if e.frames <= n {
			run = e.run
		}
	}
	return run
}

// frame makes the next piece of what waits. It reports false when nothing does: then others may
// write.
func (w *writer) frame() bool {
	w.mu.Lock()
	control := w.waiting
	w.waiting = nil
	if control == nil && w.framed == len(w.run) {
		w.busy, w.run = false, nil
		w.free.Broadcast()
		w.mu.Unlock()
		return false
	}
	w.mu.Unlock()
	p, ok := w.pieces.Get().(*piece)
	if !ok {
		p = &piece{}
	}
	p.frames, p.ends = append(p.frames[:0], control...), p.ends[:0]
	if p.scan == nil {
		p.scan = stanza.NewScanner(stanza.Unlimited())
	}
	for w.framed < len(w.run) && len(p.frames) < pieceSize {
		st, n, err := p.scan.Next(w.run[w.framed:])
		if st == nil || err != nil {
			// White space, or what no scanner has seen: nothing behind it can be told apart.
			p.scan = nil
			w.framed = len(w.run)
			break
		}
		w.framed += n
		p.frames = appendMessage(p.frames, st)
		p.ends = append(p.ends, boundary{len(p.frames), w.framed})
	}
	w.cur = p
	return true
}

// appendMessage appends an element as a text message (RFC 7395 section 3.3).
func appendMessage(dst []byte, st *stanza.Stanza) []byte {
	if st.Kind == stanza.StreamEnd {
		const end = "<close xmlns='" + nsFraming + "'/>"
		return append(appendFrame(dst, ws.OpText, len(end)), end...)
	}
	const room = 10 // the longest header of an unmasked frame
	at := len(dst)
	dst = append(dst, make([]byte, room)...)
	dst = stanza.AppendStandalone(dst, st.Raw)
	text := dst[at+room:]
	head := appendFrame(dst[:at], ws.OpText, len(text))
	return append(head, text...)
}

func (w *writer) idle() {
	w.mu.Lock()
	w.busy = false
	w.free.Broadcast()
	w.mu.Unlock()
}

// control sends a control frame: at once, or before the next piece if somebody writes. It may wait
// for the peer to read.
func (w *writer) control(op ws.OpCode, payload []byte) {
	f := append(appendFrame(nil, op, len(payload)), payload...)
	w.mu.Lock()
	if w.busy {
		w.waiting = f
		w.mu.Unlock()
		return
	}
	w.busy = true
	w.mu.Unlock()
	if _, pending, err := w.low.TryWrite(f); pending && err == nil {
		_, _ = w.low.Finish() // a broken connection is found out by the reader
	}
	w.idle()
}

// send writes whole elements and waits until they are written.
func (w *writer) send(elements []byte) error {
	_, pending, err := w.TryWrite(elements)
	if pending && err == nil {
		_, err = w.Finish()
	}
	return err
}
