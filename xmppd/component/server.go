package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Router is what components need of the router.
type Router interface {
	RouteFrom(ctx context.Context, link *session.Session, st *stanza.Stanza, b *session.Batch) *module.StreamError
	Attach(domain string, d module.Domain) (detach func(), err error)
	Return(ctx context.Context, gone *session.Session, left [][]byte, written int, b *session.Batch)
}

// Config is what a Server needs. Zero values of the limits stand for the defaults given.
type Config struct {
	Secrets    map[string]string // domain of a component to its secret
	Router     Router
	Limits     stanza.Limits
	MaxQueue   int           // bytes that wait for a component that reads slowly; 0: 64 MiB
	Handshake  time.Duration // from the connection to the proof of the secret; 0: 10 s
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Faults     Faults
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	AnySecret bool // don't compare the proof
}

// maxWaiting bounds the connections that have not proved anything yet. One more ends the oldest of
// them: a component proves its secret at once, and those that say nothing can't keep it out.
const maxWaiting = 100

// Server serves components. Serve runs its listeners, Close ends them.
type Server struct {
	cfg     Config
	metrics metrics
	chunks  session.Pool

	mu        sync.Mutex
	closing   bool
	waiting   []*link // in the order of arrival
	listeners []net.Listener
	links     map[*link]struct{}
	byDomain  map[string]*link // those that are attached
	wg        sync.WaitGroup
}

// New makes a server.
func New(cfg Config) *Server {
	if cfg.MaxQueue == 0 {
		cfg.MaxQueue = 64 << 20
	}
	if cfg.Handshake == 0 {
		cfg.Handshake = 10 * time.Second
	}
	s := &Server{cfg: cfg, links: make(map[*link]struct{}), byDomain: make(map[string]*link)}
	s.metrics.register(cfg.Registerer, s)
	return s
}

// Serve accepts components until Close.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	netio.Accept(context.Background(), l, s.cfg.Log, func(conn net.Conn) {
		if !s.admit(conn) {
			s.metrics.refused.Inc()
			_ = conn.Close()
		}
	})
	return nil
}

func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if len(s.waiting) >= maxWaiting {
		s.metrics.refused.Inc()
		_ = s.waiting[0].conn.Close()
		s.waiting = slices.Delete(s.waiting, 0, 1)
	}
	k := &link{srv: s, conn: conn}
	s.waiting = append(s.waiting, k)
	s.links[k] = struct{}{}
	_ = conn.SetDeadline(time.Now().Add(s.cfg.Handshake)) // here, or it could undo the one that Close sets
	s.wg.Go(func() {
		k.run()
		s.mu.Lock()
		delete(s.links, k)
		s.mu.Unlock()
	})
	return true
}

// settled is called when a link has proved its secret, or failed to.
func (s *Server) settled(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, k); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
}

// take attaches a link to its domain. One that has the domain already is ended: its component has
// proved the same secret again, so the older connection is most likely dead.
func (s *Server) take(k *link) error {
	for {
		s.mu.Lock()
		if s.closing {
			s.mu.Unlock()
			return errShutdown
		}
		old := s.byDomain[k.domain]
		if old == nil {
			detach, err := s.cfg.Router.Attach(k.domain, k)
			if err == nil {
				s.byDomain[k.domain] = k
				k.detach = detach
			}
			s.mu.Unlock()
			return err
		}
		s.mu.Unlock()
		old.out().Fail(errAgain)
		select {
		case <-old.gone:
		case <-time.After(s.cfg.Handshake):
			return fmt.Errorf("the older connection of %s does not end", k.domain)
		}
	}
}

// errAgain ends the older one of two connections.
var errAgain = &module.StreamError{Condition: "conflict", Text: "the component has connected again"}

// Conflict ends the connection of a component that has connected to another server. It doesn't wait.
func (s *Server) Conflict(domain string) {
	s.mu.Lock()
	k := s.byDomain[domain]
	s.mu.Unlock()
	if k != nil {
		k.out().Fail(errAgain)
	}
}

// release detaches a link.
func (s *Server) release(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.detach != nil {
		k.detach()
		delete(s.byDomain, k.domain)
	}
}

// errShutdown is what components are told when the server ends (RFC 6120 section 4.9.3.20).
var errShutdown = &module.StreamError{Condition: "system-shutdown"}

// Close stops accepting, tells every component that the server ends, and waits for all of them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close listener: %w", err))
		}
	}
	attached := make(map[*link]bool)
	for _, k := range s.byDomain {
		attached[k] = true
	}
	for k := range s.links {
		if !attached[k] {
			_ = k.conn.SetDeadline(time.Unix(1, 0))
		}
	}
	s.mu.Unlock()
	for k := range attached {
		k.out().Fail(errShutdown)
	}
	s.wg.Wait()
	return errors.Join(errs...)
}
