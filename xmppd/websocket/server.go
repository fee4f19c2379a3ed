package websocket

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// protocol is the sub-protocol of RFC 7395 section 3.1.
const protocol = "xmpp"

// Config is what a Server needs. Zero values of numbers and times stand for the defaults given.
type Config struct {
	Streams *c2s.Server // runs the streams, and waits for them when it is closed
	// Peer tells whose request it is.
	Peer func(*http.Request) c2s.Peer
	// Origin reports whether pages of the request's origin may use the server.
	Origin func(*http.Request) bool

	Limits         stanza.Limits // MaxStanza bounds a message
	NegotiationMax int           // bytes a client may send before a resource is bound; 0: 64 KiB
	Ping           time.Duration // silence before the peer is asked whether it is there; 0: 1 min
	Pong           time.Duration // for the answer; 0: 30 s
	Complete       time.Duration // from the first to the last byte of a message; 0: 1 min

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Server upgrades HTTP requests to streams. It is an http.Handler.
type Server struct {
	cfg      Config
	metrics  *metrics
	bufs     buffers
	pieces   sync.Pool // *piece
	scanners sync.Pool // *stanza.Scanner between two messages
}

// New makes a server. What it starts is waited for by Config.Streams.
func New(cfg Config) *Server {
	cfg.Limits = cfg.Limits.WithDefaults()
	if cfg.NegotiationMax == 0 {
		cfg.NegotiationMax = 64 << 10
	}
	for _, d := range []struct {
		to   *time.Duration
		want time.Duration
	}{{&cfg.Ping, time.Minute}, {&cfg.Pong, 30 * time.Second}, {&cfg.Complete, time.Minute}} {
		if *d.to == 0 {
			*d.to = d.want
		}
	}
	s := &Server{cfg: cfg, metrics: newMetrics(cfg.Registerer)}
	s.bufs.max = cfg.Limits.MaxStanza
	return s
}

// ServeHTTP implements http.Handler. It returns when the stream is bound: then the stream has a
// goroutine of its own, and nothing of the request is kept.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !s.cfg.Origin(r):
		s.refuse(w, http.StatusForbidden, "pages of this origin may not use the server")
		return
	case !offers(r, protocol):
		s.refuse(w, http.StatusBadRequest, "this is an XMPP server: open a WebSocket with the sub-protocol xmpp")
		return
	}
	up := ws.HTTPUpgrader{Timeout: 10 * time.Second, Protocol: func(p string) bool { return p == protocol }}
	nc, rw, _, err := up.Upgrade(r, w)
	if err != nil {
		s.metrics.refused.Inc()
		if nc != nil {
			_ = nc.Close()
		}
		return
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c, err := newConn(s, nc, early)
	if err != nil {
		s.cfg.Log.Error("no stream on a WebSocket", "error", err)
		_ = nc.Close()
		return
	}
	st, err := s.cfg.Streams.Negotiate(c, s.cfg.Peer(r))
	if err != nil {
		c.close(err)
		c.read.release()
		return
	}
	// Its stack is small, while that of this goroutine has grown.
	go c.serve(st)
}

func (s *Server) refuse(w http.ResponseWriter, code int, text string) {
	s.metrics.refused.Inc()
	http.Error(w, text, code)
}

// offers reports whether the client speaks a sub-protocol (RFC 6455 section 4.1).
func offers(r *http.Request, want string) bool {
	for _, list := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(p) == want {
				return true
			}
		}
	}
	return false
}
