package xmppd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	release "github.com/rosterdb/rosterdb/internal/version"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/bosh"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/component"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

// Version is the version of the server's software, as XEP-0092 tells it.
const Version = release.Version

// Options are what a server gets besides its configuration.
type Options struct {
	Log      *slog.Logger         // required
	Registry *prometheus.Registry // nil: a new one
	Level    *slog.LevelVar       // of Log, for Reload to change; nil: it stays
	// Modules are extensions of the program that embeds the server; their hooks come first.
	Modules []module.Module
}

// faults are bugs that this package's tests plant.
type faults struct {
	router router.Faults
	im     im.Faults
	c2s    c2s.Faults
	bosh   bosh.Faults
}

// Server is a running server.
type Server struct {
	faults   faults
	cfg      Config
	log      *slog.Logger
	level    *slog.LevelVar
	records  store.Store    // of all layers and modules
	broken   <-chan error   // gets what makes records refuse changes
	store    *account.Store // on records
	accounts *Accounts
	im       *im.Service
	c2s      *c2s.Server
	registry *prometheus.Registry

	embedder   []module.Module
	modulesOn  []module.Module
	components *component.Server
	events     http.Handler // of the portal; nil without its listener

	c2sListener, tlsListener, httpListener, httpsListener, adminListener, componentListener, portalListener net.Listener

	reloading        sync.Mutex // guards cfg's reloadable keys and sourceDone
	sourceDone       func()     // ends the source of logins
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
// clients can connect.
func Start(ctx context.Context, cfg Config, opt Options) (*Server, error) {
	return start(ctx, cfg, opt, faults{})
}

func start(ctx context.Context, cfg Config, opt Options, f faults) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &Server{faults: f, cfg: cfg, log: opt.Log, level: opt.Level, registry: opt.Registry, embedder: opt.Modules, fatal: make(chan error, 4)}
	if s.registry == nil {
		s.registry = prometheus.NewRegistry()
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	disk, err := bolt.Open(s.cfg.Data, s.cfg.Domain)
	if err != nil {
		return err
	}
	s.records, s.broken, s.store = disk, disk.Failed(), account.NewStore(disk)
	s.accounts = &Accounts{Store: s.store, Domain: s.cfg.Domain}
	set, done, err := s.settings(&s.cfg)
	if err != nil {
		return err
	}
	s.sourceDone = done
	s.webTLS.Store(webTLS(set.TLS))
	s.registrationOpen.Store(s.cfg.Registration == "open")
	if err := s.listen(); err != nil {
		return err
	}
	table := session.NewTable()
	r := router.New(s.cfg.Domain, table, s.log, s.faults.router)
	ims, err := im.New(ctx, s.store, table, r, im.Limits{RosterItems: s.cfg.Limits.RosterItems, Directed: s.cfg.Limits.DirectedPresence}, s.cfg.Presence.policy(), s.log, s.faults.im)
	if err != nil {
		return err
	}
	s.im = ims
	registerPresence(s.registry, ims.Counts())
	s.accounts.Watch = ims
	if err := s.makeAccounts(ctx, s.cfg.Accounts); err != nil {
		return err
	}
	r.SetPresence(ims)
	preAuth, resumption, err := s.addModules(r, ims, table)
	if err != nil {
		return err
	}
	waits, err := s.ioStrategy()
	if err != nil {
		return err
	}
	s.c2s = c2s.New(c2s.Config{
		IO:     waits,
		Domain: s.cfg.Domain, InsecurePlaintext: s.cfg.InsecurePlaintext, Settings: set, PreAuth: preAuth, Resumption: resumption,
		Table: table, Router: r, Ended: ims.SessionEnded,
		Limits:   stanza.Limits{MaxStanza: s.cfg.Limits.StanzaBytes, MaxDepth: s.cfg.Limits.Depth},
		MaxQueue: s.cfg.Limits.QueueBytes,
		Trusted:  ims.Grouped, MaxTrustedQueue: s.cfg.Limits.GroupQueueBytes,
		Log: s.log, Registerer: s.registry, Faults: s.faults.c2s,
	})
	if err := s.newComponents(r); err != nil {
		return err
	}
	if s.events, err = s.newPortal(r); err != nil {
		return err
	}
	s.serve()
	return nil
}

// ioStrategy is how the server waits for input of its clients.
func (s *Server) ioStrategy() (netio.Strategy, error) {
	if s.cfg.IO == "goroutine" {
		return netio.NewGoroutines(), nil
	}
	return netio.NewEventLoop(0)
}

// listen opens all listeners before anything is served, so that a port in use is known at once.
func (s *Server) listen() error {
	// First: whoever finds one of the others can manage accounts.
	s.adminListener = s.listenAdmin()
	for _, l := range []struct {
		addr, flag string
		to         *net.Listener
	}{
		{s.cfg.ListenC2S, "--listen-c2s", &s.c2sListener},
		{s.cfg.ListenTLS, "--listen-tls", &s.tlsListener},
		{s.cfg.ListenHTTP, "--listen-http", &s.httpListener},
		{s.cfg.ListenComponent, "--listen-component", &s.componentListener},
		{s.cfg.ListenHTTPS, "--listen-https", &s.httpsListener},
		{s.cfg.Portal.Listen, "portal.listen", &s.portalListener},
	} {
		if l.addr == "" {
			continue
		}
		var err error
		*l.to, err = net.Listen("tcp", l.addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s: the address is in use: stop the program that listens there, or give %s another port", l.addr, l.flag)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", l.flag, l.addr, err)
		}
	}
	return nil
}

func (s *Server) serve() {
	ctx, stop := context.WithCancel(context.Background())
	s.stopRunners = stop
	s.running.Go(func() {
		select {
		case err := <-s.broken:
			s.fatal <- err
		case <-ctx.Done():
		}
	})
	for _, r := range s.runners {
		s.running.Go(func() { r.Run(ctx) })
	}
	s.serveC2S(s.c2sListener, false)
	s.serveC2S(s.tlsListener, true)
	s.serveWeb()
	s.serveComponents()
	s.servePortal()
	if s.adminListener != nil {
		s.serveHTTP(s.adminListener, s.adminHandler(), nil)
	}
}

func (s *Server) serveC2S(l net.Listener, direct bool) {
	if l == nil {
		return
	}
	s.log.Info("listening for clients", "addr", l.Addr().String(), "tls", direct)
	s.wg.Go(func() {
		if err := s.c2s.Serve(l, direct); err != nil {
			s.fatal <- err
		}
	})
}

// Addrs tells where the server listens; empty for a listener that is off.
func (s *Server) Addrs() (c2s, tls, http string) {
	addr := func(l net.Listener) string {
		if l == nil {
			return ""
		}
		return l.Addr().String()
	}
	return addr(s.c2sListener), addr(s.tlsListener), addr(s.httpListener)
}

// AddrHTTPS tells where the server listens for HTTPS; empty if it doesn't.
func (s *Server) AddrHTTPS() string {
	if s.httpsListener == nil {
		return ""
	}
	return s.httpsListener.Addr().String()
}

// Accounts manages the server's accounts while it runs.
func (s *Server) Accounts() *Accounts { return s.accounts }

// Failed delivers the error that makes a running server useless.
func (s *Server) Failed() <-chan error { return s.fatal }

// Close tells clients to come back later, ends their streams, and releases the data directory.
func (s *Server) Close() error {
	var errs []error
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
	// Those that were served are closed by now.
	for _, l := range []net.Listener{s.c2sListener, s.tlsListener, s.httpListener, s.httpsListener, s.adminListener, s.componentListener, s.portalListener} {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, fmt.Errorf("close listener: %w", err))
			}
		}
	}
	s.wg.Wait()
	if s.stopRunners != nil {
		s.stopRunners()
		s.running.Wait()
	}
	if s.sourceDone != nil {
		s.sourceDone()
	}
	if s.im != nil {
		s.im.Close()
	}
	if s.records != nil {
		errs = append(errs, s.records.Close())
	}
	return errors.Join(errs...)
}

// tlsConfig is nil where nothing needs TLS.
func (s *Server) tlsConfig(cfg *Config) (*tls.Config, error) {
	cert, err := s.certificate(cfg)
	if err != nil {
		return nil, err
	}
	ask := tls.NoClientCert
	if cfg.Auth.ClientCA != "" {
		// One that doesn't fit only means that EXTERNAL isn't offered, so crypto/tls doesn't judge.
		ask = tls.RequestClientCert
	}
	return &tls.Config{
		ClientAuth:   ask,
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2: what RFC 9325 section 4.2 recommends, and ChaCha20
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{"xmpp-client"}, // XEP-0368
		// Records are written in bursts; small ones would only cost system calls and headers.
		DynamicRecordSizingDisabled: true,
	}, nil
}
