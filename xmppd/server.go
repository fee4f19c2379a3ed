package xmppd

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rosterdb/rosterdb/internal/stanza"
	release "github.com/rosterdb/rosterdb/internal/version"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/bosh"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/ask"
	"github.com/rosterdb/rosterdb/xmppd/cluster/balance"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
	"github.com/rosterdb/rosterdb/xmppd/cluster/handover"
	links "github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/component"
	"github.com/rosterdb/rosterdb/xmppd/httpauth"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/modules/offline"
	"github.com/rosterdb/rosterdb/xmppd/modules/sm"
	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// Version is the version of the server's software, as XEP-0092 tells it.
const Version = release.Version

// Options are what a server gets besides its configuration.
type Options struct {
	Log      *slog.Logger         // required
	Registry *prometheus.Registry // nil: a new one, with the metrics of the process
	Level    *slog.LevelVar       // of Log, for Reload to change; nil: it stays
	// Modules are extensions of the program that embeds the server; their hooks come first.
	Modules []module.Module
}

// faults are bugs that this package's tests plant.
type faults struct {
	router    router.Faults
	im        im.Faults
	c2s       c2s.Faults
	bosh      bosh.Faults
	lookEvery time.Duration // for certificates that end; 0: a day

	// Of a cluster; records are shared by the servers of a test.
	exchange exchange.Faults
	handover handover.Faults
	links    links.Config
	cache    int
	cut      func(addr string) bool
	balance  balance.Faults
	acks     session.AckFaults
	records  store.Store
	replicas func(*replicated.Options)
	migrate  func(records int64) error // the server crashes

	ahead      aheadFaults
	deaf       bool // other servers' answers are not heard
	fullAlone  bool // the others are not told that the disk of the records is full, or its files are gone
	anyJoining bool // who has proven no name counts among those that join
	reached    bool // metrics of the records count whoever can be reached, with or without room on its disk
	unlinked   bool // who serves is well though links tell that records have no majority
	oneProcess bool // a claim of a server's last process is taken for one of this process
	hasty      bool // a server that is drained or stops does not mind what waits in it
	countHere  bool // sessions on other servers do not count for sessions_per_account
}

// Server is a running server.
type Server struct {
	faults       faults
	cfg          Config
	log          *slog.Logger
	level        *slog.LevelVar
	records      store.Store  // of all layers and modules
	broken       <-chan error // gets what makes records refuse changes
	health       func() error // of records
	closeRecords func() error
	store        *account.Store // on records
	accounts     *Accounts
	im           *im.Service
	c2s          *c2s.Server
	registry     *prometheus.Registry

	sourceMetrics *httpauth.Metrics // of all sources of logins that come after one another

	embedder   []module.Module
	modulesOn  []module.Module
	cluster    *cluster.Node  // nil: there are no other servers
	authority  *x509.CertPool // of the cluster
	replicas   *replicas      // nil: records are on one disk
	refresh    *refresher
	ahead      *ahead      // nil without cluster
	full       atomic.Bool // the disk of replicas is
	gone       atomic.Bool // files of replicas are
	telling    sync.Mutex  // of full and gone
	clueless   bool        // who waits for records has said what may be wrong
	ready      atomic.Bool // records can be read, and clients are served
	exchange   *exchange.Exchange
	balance    *balance.Balancer // nil: clients are not sent to other servers
	cpu        balance.CPU
	draining   atomic.Bool        // no more clients shall come here
	handover   *handover.Handover // nil without cluster
	sm         *sm.Module
	resumption c2s.Resumption // sm, if it is switched on
	drainer    *drainer       // nil without cluster
	asker      *ask.Asker     // the same
	kept       *offline.Module
	components *component.Server
	events     http.Handler // of the portal; nil without its listener

	listeners     []*listener
	adminListener net.Listener
	adminServed   bool

	reloading        sync.Mutex // guards cfg's reloadable keys, sourceDone and files
	sourceDone       func()     // ends the source of logins
	files            map[string][sha256.Size]byte
	registrationOpen atomic.Bool
	webTLS           atomic.Pointer[tls.Config] // of browsers

	web   []*http.Server
	bosh  *bosh.Server
	wg    sync.WaitGroup
	fatal chan error

	runners     []module.Runner
	stopRunners context.CancelFunc
	running     sync.WaitGroup // runners
}

// Start opens the data directory and the listeners, and serves until Close. When it returns,
// clients can connect: in a cluster it waits for a majority of the servers that have the records. ConfigError, ErrStopped, and the errors of package store that bolt.Open names.
func Start(ctx context.Context, cfg Config, opt Options) (*Server, error) {
	return start(ctx, cfg, opt, faults{})
}

func start(ctx context.Context, cfg Config, opt Options, f faults) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &Server{faults: f, cfg: cfg, log: opt.Log, level: opt.Level, registry: opt.Registry, embedder: opt.Modules, fatal: make(chan error, 1), refresh: newRefresher()}
	if s.registry == nil {
		s.registry = prometheus.NewRegistry()
		s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	s.log.Info("starting", "version", Version, "domain", s.cfg.Domain, "data", s.cfg.Data)
	if s.cfg.InsecurePlaintext {
		s.log.Warn("clients may log in without TLS: take --insecure-plaintext away unless this is for trying things out")
	}
	if err := s.start(ctx); err != nil {
		return nil, s.notStarted(ctx, err)
	}
	return s, nil
}

// ErrStopped: the context ended before the server took clients, and all is released.
var ErrStopped = errors.New("stopped before it took clients")

// notStarted ends what has begun, and says why there is no server.
func (s *Server) notStarted(ctx context.Context, why error) error {
	err := s.Close()
	if err == nil && ctx.Err() != nil && errors.Is(why, ctx.Err()) {
		return fmt.Errorf("%w: %w", ErrStopped, why)
	}
	return errors.Join(why, err)
}

func (s *Server) start(ctx context.Context) error {
	if err := s.openRecords(); err != nil {
		return err
	}
	s.accounts = &Accounts{Store: s.store, Domain: s.cfg.Domain}
	s.sourceMetrics = httpauth.NewMetrics(s.registry)
	files := fileSums(&s.cfg)
	set, done, err := s.settings(&s.cfg)
	if err != nil {
		return err
	}
	s.sourceDone, s.files = done, files
	s.tellCertificate(&s.cfg, set.TLS)
	if s.cluster != nil {
		s.tellLinks()
	}
	s.webTLS.Store(webTLS(set.TLS))
	s.registrationOpen.Store(s.cfg.Registration == "open")
	s.accounts.elsewhere.Store(s.cfg.Auth.Source != "internal")
	if err := s.listen(); err != nil {
		return err
	}
	table := session.NewTable()
	r := router.New(s.cfg.Domain, table, s.log, s.faults.router)
	ims := im.New(s.store, table, r, im.Limits{RosterItems: s.cfg.Limits.RosterItems, Directed: s.cfg.Limits.DirectedPresence}, s.cfg.Presence.policy(), s.log, s.faults.im)
	s.im = ims
	s.newExchange(table, r, ims)
	registerPresence(s.registry, ims.Counts())
	s.accounts.Watch = ims
	r.SetPresence(ims)
	preAuth, resumption, err := s.addModules(r, ims, table)
	if err != nil {
		return err
	}
	s.resumption = resumption
	waits, err := s.ioStrategy()
	if err != nil {
		return err
	}
	s.c2s = c2s.New(c2s.Config{
		IO:     waits,
		Domain: s.cfg.Domain, InsecurePlaintext: s.cfg.InsecurePlaintext, Settings: set, PreAuth: preAuth, Resumption: resumption,
		Redirection: s.redirection(),
		Table:       table, Router: r, Ended: ims.SessionEnded, Registered: s.registered, Elsewhere: s.sessionsElsewhere(), Exists: s.accounts.exists,
		Limits:   stanza.Limits{MaxStanza: s.cfg.Limits.StanzaBytes, MaxDepth: s.cfg.Limits.Depth},
		MaxQueue: s.cfg.Limits.QueueBytes,
		Trusted:  ims.Grouped, MaxTrustedQueue: s.cfg.Limits.GroupQueueBytes,
		QueueTotal: s.cfg.Limits.QueueTotalBytes,
		Log:        s.log, Registerer: s.registry, Faults: s.faults.c2s,
	})
	if err := s.newComponents(r); err != nil {
		return misconfigured(err)
	}
	if s.events, err = s.newPortal(r); err != nil {
		return misconfigured(err)
	}
	return s.serve(ctx, table)
}

// ioStrategy is how the server waits for input of its clients.
func (s *Server) ioStrategy() (netio.Strategy, error) {
	if s.cfg.IO == "goroutine" {
		return netio.NewGoroutines(), nil
	}
	return netio.NewEventLoop(0)
}

func (s *Server) serve(start context.Context, table *session.Table) error {
	ctx, stop := context.WithCancel(context.Background())
	s.stopRunners = stop
	if err := s.begin(start); err != nil {
		return err
	}
	s.running.Go(func() {
		select {
		case err := <-s.broken:
			s.lostRecords(err)
		case <-ctx.Done():
		}
	})
	for _, r := range s.runners {
		s.running.Go(func() { r.Run(ctx) })
	}
	if s.cluster != nil {
		s.running.Go(func() { s.refresh.run(ctx, s) })
		for range aheadReaders {
			s.running.Go(func() { s.ahead.run(ctx) })
		}
	}
	s.running.Go(func() { s.watchCertificates(ctx) })
	s.tellCluster(ctx, table)
	s.ready.Store(true)
	s.serveListeners(false)
	return nil
}

// begin waits for the records, in a cluster, and reads what the server needs of them before it serves clients.
func (s *Server) begin(ctx context.Context) error {
	if s.cluster != nil {
		s.serveListeners(true)
		defer s.turnAway()()
		if err := s.cluster.Start(ctx); err != nil {
			return err
		}
		if err := s.awaitRecords(ctx); err != nil {
			return err
		}
	}
	if err := s.im.Load(ctx); err != nil {
		return err
	}
	return s.makeAccounts(ctx, s.cfg.Accounts)
}

// Accounts manages the server's accounts while it runs.
func (s *Server) Accounts() *Accounts { return s.accounts }

// Failed delivers the error that makes a running server useless.
func (s *Server) Failed() <-chan error { return s.fatal }

// fail delivers an error, unless another one waits to be looked at.
func (s *Server) fail(err error) {
	select {
	case s.fatal <- err:
	default:
	}
}

// Close tells clients to come back later, ends their streams, and releases the data directory.
func (s *Server) Close() error {
	var errs []error
	s.drain()
	s.endingIfLost()
	if s.handover != nil {
		s.drainer.leave()
		s.handover.Close()
	}
	if s.replicas != nil && s.replicas.Store != nil {
		s.replicas.Ending()
	}
	if s.c2s != nil {
		errs = append(errs, s.c2s.Close())
	}
	if s.components != nil {
		errs = append(errs, s.components.Close())
	}
	for _, h := range s.web {
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		_ = h.Shutdown(ctx) // for answers that are being written
		stop()
		errs = append(errs, h.Close())
	}
	if s.bosh != nil {
		s.bosh.Close()
	}
	if s.stopRunners != nil {
		s.stopRunners()
		s.running.Wait()
	}
	errs = append(errs, s.closeCluster(), s.closeListeners())
	s.wg.Wait()
	if s.sourceDone != nil {
		s.sourceDone()
	}
	if s.im != nil {
		s.im.Close()
	}
	if s.closeRecords != nil {
		errs = append(errs, s.closeRecords())
	}
	return errors.Join(errs...)
}
