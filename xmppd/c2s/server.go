package c2s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// PreAuth answers IQs of clients that have not logged in (registration, XEP-0077).
type PreAuth interface {
	// StreamFeature is announced before login.
	StreamFeature() []byte
	// Answer returns the whole reply to an IQ; ok is false for one that needs a login.
	Answer(ctx context.Context, st *stanza.Stanza, addr string) (reply []byte, ok bool)
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	TrustHeaderFrom bool // don't compare the stream header's "from" with the user
	IgnoreBinding   bool // take any channel binding for the right one
	IgnoreDowngrade bool // believe a client that was told there is no channel binding
	AnyAuthzid      bool // let a client act for somebody else
	UncountedGuess  bool // don't count failed logins
	NoPace          bool // read clients however much they send, and however slowly
	EndlessLine     bool // clients wait for their turn to log in however long that takes
	NoLine          bool // nobody waits
}

// Config is what a Server needs. Zero values of the limits stand for the defaults given.
type Config struct {
	Domain string
	// InsecurePlaintext allows login, PLAIN included, without TLS.
	InsecurePlaintext bool
	Settings          Settings // to begin with

	PreAuth PreAuth // nil: nothing before login
	// Resumption finds sessions that outlive their connections; nil: none does.
	Resumption Resumption
	Table      *session.Table
	Router     *router.Router
	// Exists tells whether there is an account of that name still when a resource is bound; nil: there is.
	Exists func(ctx context.Context, local string) (bool, error)
	// Ended takes back the presence of a session; it may be called more than once for one.
	Ended func(context.Context, *session.Session)
	// Registered waits until other servers of the cluster can find a session; nil: there are none.
	Registered func(context.Context, *session.Session)

	// Redirection sends clients to other servers; nil: all stay.
	Redirection Redirection

	// Elsewhere counts the sessions that an account has on other servers, but for one resource; nil: there are
	// none. It may wait, for a while.
	Elsewhere func(ctx context.Context, account, but string) int

	Limits   stanza.Limits
	MaxQueue int // bytes that wait for one slow client; 0: 4 MiB
	// Trusted tells accounts that may be sent bulk by many at once, such as data nodes: for them
	// MaxTrustedQueue counts instead of MaxQueue. nil: nobody.
	Trusted         func(local string) bool
	MaxTrustedQueue int // bytes; 0: 64 MiB
	// QueueTotal bounds the bytes that wait for all slow clients together: beyond it the queues of
	// those that are not trusted hold 64 KiB each; 0: 512 MiB
	QueueTotal     int
	NegotiationMax int // bytes a client may send until a resource is bound; 0: 64 KiB

	// IO waits for input of bound streams; the Server closes it. nil: a goroutine for each.
	IO netio.Strategy

	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Faults     Faults
}

// Server serves the client-to-server streams of a domain.
type Server struct {
	cfg      Config
	log      *slog.Logger
	born     time.Time
	settings atomic.Pointer[Settings]
	gate     *gate
	notices  notices
	metrics  *metrics
	chunks   session.Pool
	small    sync.Pool       // *[]byte of readSize
	large    sync.Pool       // *[]byte that hold the longest stanza
	sealed   sync.Pool       // *[]byte of taps
	scanners sync.Pool       // *stanza.Scanner between two stanzas
	ctx      context.Context //nolint:containedctx // of streams: ends when Close has given up waiting
	cancel   context.CancelFunc
	// logins ends when Close begins: what a login waits for may take longer than a client is worth.
	logins    context.Context //nolint:containedctx // as above
	endLogins context.CancelFunc

	leaving atomic.Bool // nobody may log in

	mu          sync.Mutex
	closing     bool
	listeners   []net.Listener
	negotiating map[Framing]struct{}
	open        int // connections
	wg          sync.WaitGroup
}

// New makes a server. It serves the listeners that are given to Serve, until Close.
func New(cfg Config) *Server {
	cfg.MaxQueue = orDefault(cfg.MaxQueue, 4<<20)
	cfg.MaxTrustedQueue = orDefault(cfg.MaxTrustedQueue, 64<<20)
	cfg.QueueTotal = orDefault(cfg.QueueTotal, 512<<20)
	cfg.NegotiationMax = orDefault(cfg.NegotiationMax, 64<<10)
	cfg.Limits.MaxStanza = orDefault(cfg.Limits.MaxStanza, 256<<10)
	if cfg.IO == nil {
		cfg.IO = netio.NewGoroutines()
	}
	s := &Server{cfg: cfg, log: cfg.Log, born: time.Now(), notices: notices{log: cfg.Log}, negotiating: make(map[Framing]struct{})}
	s.chunks.Budget = cfg.QueueTotal
	set := cfg.Settings.withDefaults()
	s.settings.Store(set)
	s.gate = newGate(set)
	s.gate.faults = cfg.Faults
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.logins, s.endLogins = context.WithCancel(s.ctx)
	s.metrics = newMetrics(cfg.Registerer, s)
	return s
}

// now is the time since the server was made, in ns, and an hour, as 0 stands for never. It does not follow the machine's clock: a
// stream that rests would rest for as long as that is set back.
func (s *Server) now() int64 { return int64(time.Since(s.born) + time.Hour) }

func orDefault(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}

// Serve accepts connections until Close. With direct, TLS begins with the first byte (XEP-0368).
func (s *Server) Serve(l net.Listener, direct bool) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	netio.Accept(s.ctx, l, s.log, func(conn net.Conn) {
		f := newTCPFraming(s, conn, direct)
		peer := Peer{Addr: addrOf(conn), Secure: direct}
		if !s.enter(f, peerAddr(&peer)) {
			_ = conn.Close()
			return
		}
		go s.serveTCP(f, peer) // leave is its end, which Close waits for
	})
	return nil
}

// enter lists a stream that is going to be negotiated, if there is room for one more. It ends with
// leave.
func (s *Server) enter(f Framing, addr netip.Addr) bool {
	set := s.settings.Load()
	_ = f.SetDeadline(time.Now().Add(set.Negotiation))
	ok, limit := s.admit(f, addr, set)
	switch limit {
	case "":
		return ok
	case "total":
		s.notices.tell("connection refused: there are as many as limits.connections allows", "peer", addr)
	case "address":
		s.notices.tell("connection refused: the address has as many as limits.connections_per_address allows", "peer", addr)
	case "rate":
		s.notices.tell("connection refused: the address makes them faster than limits.connection_rate_per_address allows", "peer", addr)
	}
	s.metrics.refused.WithLabelValues(limit).Inc()
	return false
}

// admit lists a stream, or names the limit that is reached; none while the server is closing.
func (s *Server) admit(f Framing, addr netip.Addr, set *Settings) (ok bool, limit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false, ""
	}
	limit = "total"
	if s.open < set.MaxConnections {
		limit = s.gate.enter(addr, set)
	}
	if limit != "" {
		return false, limit
	}
	s.open++
	s.negotiating[f] = struct{}{}
	s.wg.Add(1)
	return true, ""
}

// leave is the last thing that a stream does.
func (s *Server) leave(addr netip.Addr) {
	s.mu.Lock()
	s.open--
	s.gate.leave(addr)
	s.mu.Unlock()
	s.wg.Done()
}

// serveTCP brings a connection to a bound stream, which is read as Config.IO does it.
func (s *Server) serveTCP(f *tcpFraming, p Peer) {
	setUserTimeout(f.tcp)
	s.keepAlive(f.tcp)
	_ = netio.AwaitInput(f.tcp) // the first read tells what is wrong
	st, said, err := s.establish(f, f, p)
	if err != nil {
		if said {
			linger(f.tcp, f.tls)
		}
		_ = f.tcp.Close()
		s.leave(peerAddr(&p))
		return
	}
	bound := f.bound
	bound.Stream = st
	bound.keep(f.src.Rest())
	bound.Flush() // the result of binding
	s.cfg.IO.Start(bound.conn, bound)
}

// establish negotiates a stream until its resource is bound. When that fails, said tells whether
// the client got to know why.
func (s *Server) establish(f Framing, tcp *tcpFraming, p Peer) (st Stream, said bool, err error) {
	n := &negotiation{srv: s, set: s.settings.Load(), framing: f, tcp: tcp, peer: p, addr: peerAddr(&p)}
	if tcp != nil {
		tcp.config = n.set.TLS
	}
	if err = n.await(); err == nil {
		err = n.negotiate(s.ctx)
	}
	n.settled(err == nil)
	closing := s.forget(f)
	if err != nil {
		if closing {
			err = errShutdown
		}
		s.notReady(p, err)
		return Stream{}, n.fail(err), err
	}
	_ = f.SetDeadline(time.Time{})
	s.metrics.logins.Inc()
	if closing {
		n.bound.sess.Out.Fail(errShutdown)
	}
	return n.bound, false, nil
}

// errBusy is what a client is told that would have to wait too long to log in.
var errBusy = &router.StreamError{Condition: "resource-constraint", Text: "too many clients log in at once: try again in a while"}

// await waits for a client's turn to log in.
func (n *negotiation) await() error {
	s := n.srv
	waited, ok := s.gate.turn(s.logins, n.set)
	if waited {
		s.metrics.queued.Inc()
	}
	if ok {
		return nil
	}
	s.metrics.refused.WithLabelValues("logins").Inc()
	s.notices.tell("connection refused: so many clients log in at once that they would wait too long (limits.logins_per_second)", "peer", n.peer.Addr)
	if n.tcp != nil && n.tcp.direct {
		return fmt.Errorf("%s", errBusy.Text) // before TLS there is no way to tell it
	}
	return errBusy
}

// errShutdown is what clients are told when the server ends (RFC 6120 section 4.9.3.20).
var errShutdown = &router.StreamError{Condition: "system-shutdown"}

// Refuse has clients that want to log in told to go to another server of the domain, or ends that.
func (s *Server) Refuse(on bool) { s.leaving.Store(on) }

// errLeaving is what they are told.
var errLeaving = &router.StreamError{Condition: "system-shutdown", Text: "this server is about to stop: connect to another one of the domain"}

// forget takes a stream off the list of those being negotiated.
func (s *Server) forget(f Framing) (closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.negotiating, f)
	return s.closing
}

// spawn runs f on a goroutine that Close waits for. The caller must be one that Close waits for,
// too, or hold a session.
func (s *Server) spawn(f func()) bool {
	s.wg.Go(f)
	return true
}

// Close stops accepting, tells every client that the server ends, and waits for their streams to
// end: a few seconds at most, also for clients that don't react.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close listener: %w", err))
		}
	}
	for f := range s.negotiating {
		_ = f.SetDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	s.endLogins()
	s.cfg.Table.Each(func(sess *session.Session) bool {
		sess.Out.Fail(errShutdown)
		return true
	})
	s.wg.Wait()
	s.cancel()
	errs = append(errs, s.cfg.IO.Close())
	return errors.Join(errs...)
}

// getBuf lends a read buffer of at least n bytes.
func (s *Server) getBuf(n int) *[]byte {
	pool, size := &s.small, readSize
	if n > readSize {
		pool, size = &s.large, s.cfg.Limits.MaxStanza+readSize
	}
	if b, ok := pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, max(n, size))
	return &b
}

func (s *Server) getScanner() *stanza.Scanner {
	if sc, ok := s.scanners.Get().(*stanza.Scanner); ok {
		return sc
	}
	return stanza.NewScanner(s.cfg.Limits)
}

func (s *Server) putBuf(b *[]byte) {
	if cap(*b) <= readSize {
		s.small.Put(b)
	} else {
		s.large.Put(b)
	}
}
