package xmppd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// Names of the listeners, in the log as well.
const (
	forClients    = "clients"
	forTLS        = "clients by TLS"
	forHTTP       = "http"
	forHTTPS      = "https"
	forComponents = "components"
	forPortal     = "portal"
)

// listener is a way into the server.
type listener struct {
	net.Listener // nil while it is off

	name, addr, flag string
	served           bool
	serve            func(net.Listener) // returns at once
}

// early reports whether a listener tells how the server is before clients are served.
func (l *listener) early() bool { return l.name == forHTTP || l.name == forHTTPS }

// ways are all listeners but the admin socket.
func (s *Server) ways() []*listener {
	clients := func(direct bool) func(net.Listener) {
		return func(l net.Listener) { s.run(func() error { return s.c2s.Serve(l, direct) }) }
	}
	// --listen-http and --listen-https offer the same, within the same limits.
	site := sync.OnceValues(func() (http.Handler, func(net.Conn, http.ConnState)) {
		return s.publicHandler(), s.webConnections().Hook
	})
	return []*listener{
		{name: forClients, addr: s.cfg.ListenC2S, flag: "--listen-c2s", serve: clients(false)},
		{name: forTLS, addr: s.cfg.ListenTLS, flag: "--listen-tls", serve: clients(true)},
		{name: forHTTP, addr: s.cfg.ListenHTTP, flag: "--listen-http", serve: func(l net.Listener) {
			handler, hook := site()
			s.serveHTTP(l, handler, hook)
		}},
		{name: forHTTPS, addr: s.cfg.ListenHTTPS, flag: "--listen-https", serve: func(l net.Listener) {
			handler, hook := site()
			s.serveHTTP(c2s.ListenTLS(l, &tls.Config{ //nolint:gosec // versions are those of the present one
				GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.webTLS.Load(), nil },
			}), handler, hook)
		}},
		{name: forComponents, addr: s.cfg.ListenComponent, flag: "--listen-component", serve: func(l net.Listener) {
			s.run(func() error { return s.components.Serve(l) })
		}},
		{name: forPortal, addr: s.cfg.Portal.Listen, flag: "portal.listen", serve: func(l net.Listener) {
			mux := http.NewServeMux()
			mux.Handle("/portal", s.events)
			s.serveHTTP(l, mux, nil)
		}},
	}
}

// listen opens all listeners before anything is served, so that a port in use is known at once.
func (s *Server) listen() error {
	// First: whoever finds one of the others can manage accounts.
	s.adminListener = s.listenAdmin()
	s.listeners = s.ways()
	for _, l := range s.listeners {
		if l.addr == "" {
			continue
		}
		var err error
		l.Listener, err = net.Listen("tcp", l.addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s: the address is in use: stop the program that listens there, or give %s another port", l.addr, l.flag)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", l.flag, l.addr, err)
		}
	}
	return nil
}

// serveListeners serves until Close what is not served yet; early: only what a server offers while it waits for
// its cluster.
func (s *Server) serveListeners(early bool) {
	for _, l := range s.listeners {
		if l.Listener != nil && !l.served && (!early || l.early()) {
			s.log.Info("listening", "for", l.name, "addr", l.Addr().String())
			l.served = true
			l.serve(l.Listener)
		}
	}
	if s.adminListener != nil && !s.adminServed {
		s.adminServed = true
		s.serveHTTP(s.adminListener, s.adminHandler(), nil)
	}
}

// turnAway closes each connection of who comes before the server can serve, so that clients try another server
// instead of waiting. stop ends that.
func (s *Server) turnAway() (stop func()) {
	var wg sync.WaitGroup
	var closed []*net.TCPListener
	for _, l := range s.listeners {
		tcp, ok := l.Listener.(*net.TCPListener)
		if !ok || l.served {
			continue
		}
		closed = append(closed, tcp)
		wg.Go(func() {
			for {
				conn, err := tcp.Accept()
				if err != nil { // stop
					return
				}
				_ = conn.Close()
			}
		})
	}
	return func() {
		for _, l := range closed {
			_ = l.SetDeadline(time.Unix(1, 0))
		}
		wg.Wait()
		for _, l := range closed {
			_ = l.SetDeadline(time.Time{})
		}
	}
}

// run serves something until Close; an error makes the server useless.
func (s *Server) run(serve func() error) {
	s.wg.Go(func() {
		if err := serve(); err != nil {
			s.fail(err)
		}
	})
}

// closeListeners closes those that nobody serves; the others are closed already.
func (s *Server) closeListeners() error {
	var errs []error
	shut := func(l net.Listener) {
		if l == nil {
			return
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close listener: %w", err))
		}
	}
	for _, l := range s.listeners {
		shut(l.Listener)
	}
	shut(s.adminListener)
	return errors.Join(errs...)
}

// addrOf is where the server listens; empty for a listener that is off.
func (s *Server) addrOf(name string) string {
	for _, l := range s.listeners {
		if l.name == name && l.Listener != nil {
			return l.Addr().String()
		}
	}
	return ""
}

// Addrs tells where the server listens; empty for a listener that is off.
func (s *Server) Addrs() (c2s, tls, http string) {
	return s.addrOf(forClients), s.addrOf(forTLS), s.addrOf(forHTTP)
}

// AddrHTTPS tells where the server listens for HTTPS; empty if it doesn't.
func (s *Server) AddrHTTPS() string { return s.addrOf(forHTTPS) }

// ComponentAddr is where external components connect; empty if that is off.
func (s *Server) ComponentAddr() string { return s.addrOf(forComponents) }
