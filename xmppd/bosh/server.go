package bosh

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// version is that of XEP-0124 as sessions agree on it.
const version = "1.11"

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	ForgetReplies bool // answer a repeated request with nothing
	HandleCopies  bool // handle a repeated request again
	AnyOrder      bool // don't wait for the requests of a gap
	DropKept      bool // give up what the peer has not acknowledged
}

// Config is what a Server needs. Zero values of numbers and times stand for the defaults given.
type Config struct {
	Streams *c2s.Server // runs the streams, and waits for them when it is closed
	// Peer tells whose request it is.
	Peer func(*http.Request) c2s.Peer

	Limits         stanza.Limits
	MaxBody        int           // bytes of a request; 0: twice Limits.MaxStanza
	NegotiationMax int           // bytes of payload before a resource is bound; 0: 64 KiB
	Wait           time.Duration // longest that a request is held; 0: 1 min
	Hold           int           // most requests that are held; 0: 1
	Inactivity     time.Duration // longest without a request; 0: 1 min
	MaxPause       time.Duration // the same after a pause was asked for; 0: 2 min
	Polling        time.Duration // between empty requests of polling sessions; 0: 5 s
	// PresenceDelay is for how long presence waits for more of it; 0: not at all.
	PresenceDelay time.Duration

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Faults     Faults
}

// Server serves sessions. It is an http.Handler of POST requests.
type Server struct {
	cfg      Config
	metrics  *metrics
	wheel    wheel
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	scanners sync.Pool // *stanza.Scanner between two elements
	bodies   sync.Pool // the same, for bodies
	trusting sync.Pool // the same, without limits

	mu       sync.Mutex
	sessions map[string]*client // by sid; those that have ended stay a while
}

// New makes a server. Close stops it, when its streams have ended.
func New(cfg Config) *Server {
	cfg.Limits = cfg.Limits.WithDefaults()
	number := func(to *int, want int) {
		if *to == 0 {
			*to = want
		}
	}
	number(&cfg.MaxBody, 2*cfg.Limits.MaxStanza)
	number(&cfg.NegotiationMax, 64<<10)
	number(&cfg.Hold, 1)
	span := func(to *time.Duration, want time.Duration) {
		if *to == 0 {
			*to = want
		}
	}
	span(&cfg.Wait, time.Minute)
	span(&cfg.Inactivity, time.Minute)
	span(&cfg.MaxPause, 2*time.Minute)
	span(&cfg.Polling, 5*time.Second)
	s := &Server{cfg: cfg, sessions: make(map[string]*client)}
	s.metrics = newMetrics(cfg.Registerer)
	s.wheel.tick = min(time.Second, max(cfg.Inactivity/8, time.Millisecond))
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() { s.wheel.run(ctx, s.look) })
	return s
}

// Close stops what the server has started. Its sessions end with the c2s.Server of their streams,
// which has to be closed first.
func (s *Server) Close() {
	s.cancel()
	s.wg.Wait()
}

func (s *Server) find(sid string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sid]
}

func (s *Server) forget(c *client) {
	s.mu.Lock()
	delete(s.sessions, c.sid)
	s.mu.Unlock()
}

// create begins a session (XEP-0124 section 7.1).
func (s *Server) create(req *request, p c2s.Peer) (*client, *exchange) {
	p.Reliable = true
	c := &client{
		srv: s, sid: rand.Text(), peer: p,
		waitMax: s.cfg.Wait, hold: s.cfg.Hold, ver: olderVersion(version, req.ver),
		content: contentType(req.content), acks: req.ack == 1,
	}
	if req.wait >= 0 {
		c.waitMax = min(c.waitMax, time.Duration(req.wait)*time.Second)
	}
	if req.hold >= 0 {
		c.hold = min(c.hold, req.hold)
	}
	if c.waitMax == 0 {
		c.hold = 0
	}
	c.requests = c.hold + 1
	c.talk = newNegotiation(c, s.cfg.NegotiationMax)
	s.metrics.sessions.Inc()
	ex := c.begin(req)
	s.mu.Lock()
	s.sessions[c.sid] = c
	s.mu.Unlock()
	go c.talk.run()
	return c, ex
}

func (s *Server) scanner() *stanza.Scanner {
	if sc, ok := s.scanners.Get().(*stanza.Scanner); ok {
		return sc
	}
	return stanza.NewScanner(s.cfg.Limits)
}
