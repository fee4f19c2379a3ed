package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/rosterdb/rosterdb/xmppd/router"
)

const readSize = 4 << 10 // of a read buffer; a longer message gets one that holds the longest

var (
	// errBinary: RFC 7395 section 3.2 wants text.
	errBinary = errors.New("binary message")
	// errSilent: a ping was not answered.
	errSilent = errors.New("peer does not answer pings")
	errBudget = &router.StreamError{Condition: "policy-violation", Text: "too many bytes before the stream is ready"}
)

// closedByPeer is a Close frame (RFC 6455 section 5.5.1), with its payload.
type closedByPeer struct{ payload []byte }

func (*closedByPeer) Error() string { return "WebSocket closed by the peer" }

// reader reads the messages of one connection. One goroutine owns it.
type reader struct {
	conn  net.Conn
	bufs  *buffers
	max   int // bytes of a message
	write *writer
	// budget is how many bytes may still come before the stream is ready; negative: any number.
	budget               int
	ping, pong, complete time.Duration
	pinged               bool
	pings                func() // counts
	// drained is called before the reader waits. It is nil until the stream is ready: from then
	// on the reader looks after silence.
	drained func()

	buf        *[]byte // nil while nothing is unread
	msg        int     // (*buf)[:msg] is the payload that has come of a message
	start, end int     // what is unread; msg <= start
	h          ws.Header
	left       int64 // bytes of the frame's payload that are still to come
	inFrame    bool
	state      ws.State
	begun      bool // the deadline of an unfinished message is set
	first      [1]byte
}

// next returns the text of the next message, which is valid until the call after it.
func (r *reader) next() ([]byte, error) {
	r.msg, r.begun = 0, false
	for {
		whole, err := r.parse()
		if err != nil {
			return nil, err
		}
		if whole {
			return (*r.buf)[:r.msg], nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// parse takes in the bytes that are there. It reports whether a message is whole.
func (r *reader) parse() (whole bool, err error) {
	for r.buf != nil {
		b := (*r.buf)[:r.end]
		if !r.inFrame {
			ok, err := r.header(b)
			if err != nil || !ok {
				return false, err
			}
			continue
		}
		n := int(min(int64(r.end-r.start), r.left))
		payload := b[r.start : r.start+n]
		ws.Cipher(payload, r.h.Mask, int(r.h.Length-r.left))
		copy(b[r.msg:], payload)
		r.msg, r.start, r.left = r.msg+n, r.start+n, r.left-int64(n)
		if r.left > 0 {
			return false, nil
		}
		r.inFrame = false
		if r.h.Fin {
			r.state = r.state.Clear(ws.StateFragmented)
			return true, nil
		}
		r.state = r.state.Set(ws.StateFragmented)
	}
	return false, nil
}

// header takes in the header of a frame, and the whole of a control frame.
func (r *reader) header(b []byte) (ok bool, err error) {
	h, n, err := parseFrame(b[r.start:])
	if err != nil || n == 0 {
		return false, err
	}
	if err := ws.CheckHeader(h, r.state.Set(ws.StateServerSide)); err != nil {
		return false, err
	}
	if h.OpCode.IsControl() {
		end := r.start + n + int(h.Length)
		if end > r.end {
			return false, nil
		}
		payload := b[r.start+n : end]
		r.start = end
		ws.Cipher(payload, h.Mask, 0)
		return true, r.control(h.OpCode, payload)
	}
	if h.OpCode == ws.OpBinary {
		return false, errBinary
	}
	if h.Length > int64(r.max-r.msg) {
		return false, &router.StreamError{Condition: "policy-violation", Text: "message is too long"}
	}
	r.start += n
	r.h, r.left, r.inFrame = h, h.Length, true
	return true, nil
}

func (r *reader) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		r.write.control(ws.OpPong, payload)
	case ws.OpClose:
		return &closedByPeer{append([]byte(nil), payload...)}
	}
	return nil
}

// fill reads more bytes. Between two messages it holds no buffer while it waits.
func (r *reader) fill() error {
	if r.buf != nil && r.start == r.end && r.msg == 0 && !r.inFrame && !r.state.Fragmented() {
		r.release()
		r.begun = false
	}
	if r.buf != nil {
		r.room()
	}
	if r.drained != nil {
		r.drained()
	}
	for {
		r.deadline()
		n, err := r.read()
		if n > 0 {
			r.pinged = false
			if r.budget >= 0 {
				if r.budget -= n; r.budget < 0 {
					return errBudget
				}
			}
			return nil
		}
		if err == nil {
			return io.ErrNoProgress
		}
		if r.drained == nil || !errors.Is(err, os.ErrDeadlineExceeded) || r.write.isAborted() {
			return err
		}
		switch {
		case r.begun:
			return &router.StreamError{Condition: "connection-timeout", Text: "a message was not sent to its end in time"}
		case r.pinged:
			return errSilent
		}
		r.pinged = true
		r.pings()
		r.write.control(ws.OpPing, nil)
	}
}

// deadline bounds the next read: of a message that has begun, once; else of the silence before it.
func (r *reader) deadline() {
	switch {
	case r.drained == nil: // the deadline is that of the negotiation
	case r.buf != nil:
		if !r.begun {
			r.begun = true
			r.write.readDeadline(r.complete)
		}
	case r.pinged:
		r.write.readDeadline(r.pong)
	default:
		r.write.readDeadline(r.ping)
	}
}

func (r *reader) read() (int, error) {
	if r.buf != nil {
		n, err := r.conn.Read((*r.buf)[r.end:cap(*r.buf)])
		r.end += n
		return n, err
	}
	n, err := r.conn.Read(r.first[:])
	if n > 0 {
		r.keep(r.first[:])
	}
	return n, err
}

// keep takes over bytes that somebody else has read from the connection.
func (r *reader) keep(b []byte) {
	if len(b) > 0 {
		r.buf = r.bufs.get(len(b))
		r.end = copy((*r.buf)[:cap(*r.buf)], b)
	}
}

// room makes place for more of an unfinished message.
func (r *reader) room() {
	b := (*r.buf)[:cap(*r.buf)]
	if r.start > r.msg {
		r.end = r.msg + copy(b[r.msg:], b[r.start:r.end])
		r.start = r.msg
	}
	if r.end == len(b) {
		big := r.bufs.get(2 * len(b))
		copy((*big)[:cap(*big)], b)
		r.bufs.put(r.buf)
		r.buf = big
	}
}

// release gives the buffer back.
func (r *reader) release() {
	if r.buf != nil {
		r.bufs.put(r.buf)
		r.buf = nil
	}
	r.msg, r.start, r.end = 0, 0, 0
}
