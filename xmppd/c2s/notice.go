package c2s

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/router"
)

// noticeEvery is how often the log tells of one kind of trouble that peers make.
const noticeEvery = time.Minute

// notices are log lines that strangers can cause as often as they like: of each kind one is written
// in a minute, with how many there were since the one before. Safe for concurrent use.
type notices struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*notice // by message
}

type notice struct {
	next   time.Time // when another line may be written
	silent int       // times since the last one
}

// tell logs a message, which is a constant: it is the kind.
func (n *notices) tell(msg string, args ...any) {
	n.mu.Lock()
	k := n.kinds[msg]
	if k == nil {
		if n.kinds == nil {
			n.kinds = make(map[string]*notice)
		}
		k = new(notice)
		n.kinds[msg] = k
	}
	now := time.Now()
	if now.Before(k.next) {
		k.silent++
		n.mu.Unlock()
		return
	}
	more := k.silent
	*k = notice{next: now.Add(noticeEvery)}
	n.mu.Unlock()
	if more > 0 {
		args = append(args, "more_since_last", more)
	}
	n.log.Info(msg, args...)
}

// errTLSHere is told, to nobody who can read it, when TLS begins where STARTTLS is wanted.
var errTLSHere = &router.StreamError{Condition: "not-well-formed", Text: "TLS begins with the first byte on another port"}

// beginsTLS reports whether bytes are those of a TLS handshake (RFC 8446 section 5.1).
func beginsTLS(p []byte) bool { return len(p) >= 2 && p[0] == 0x16 && p[1] == 3 }

// notReady logs why a stream has not come to a bound resource. What an operator may have to put
// right is told; clients that went away are not.
func (s *Server) notReady(p Peer, err error) {
	var handshake *handshakeError
	var stream *router.StreamError
	var op *net.OpError
	switch {
	case errors.Is(err, errTLSHere):
		s.notices.tell("this looks like TLS on the port of STARTTLS: such clients belong to --listen-tls", "peer", p.Addr)
	case errors.As(err, &op) && op.Op == "remote error": // in TLS 1.3 also after the handshake
		s.notices.tell("a client has refused TLS with this server: look at the certificate", "peer", p.Addr, "reason", op.Err)
	case errors.As(err, &handshake) && !gone(err):
		s.notices.tell("TLS handshake failed", "peer", p.Addr, "reason", handshake.err)
	case errors.As(err, &stream) && stream.Condition == "host-unknown":
		s.notices.tell("a client has asked for another domain", "peer", p.Addr, "reason", stream)
	default:
		s.log.Debug("stream not established", "peer", p.Addr, "reason", err)
	}
}

// gone reports whether an error only says that the peer is not there any more.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
