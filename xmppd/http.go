package xmppd

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// serveHTTP serves until Close. hook, which may be nil, is told of connections.
func (s *Server) serveHTTP(l net.Listener, h http.Handler, hook func(net.Conn, http.ConnState)) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ConnState: hook,
	}
	s.web = append(s.web, srv)
	s.wg.Go(func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.fatal <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	})
}

// serveWeb serves --listen-http and --listen-https, which offer the same.
func (s *Server) serveWeb() {
	if s.httpListener == nil && s.httpsListener == nil {
		return
	}
	h, connections := s.publicHandler(), s.webConnections()
	if l := s.httpListener; l != nil {
		s.log.Info("listening", "for", "http", "addr", l.Addr().String())
		s.serveHTTP(l, h, connections.Hook)
	}
	if l := s.httpsListener; l != nil {
		s.log.Info("listening", "for", "https", "addr", l.Addr().String())
		s.serveHTTP(c2s.ListenTLS(l, &tls.Config{ //nolint:gosec // versions are those of the present one
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.webTLS.Load(), nil },
		}), h, connections.Hook)
	}
}

// webTLS is the configuration for browsers: neither HTTP/2, which can't be upgraded to WebSocket,
// nor client certificates, which a browser would ask its user for.
func webTLS(clients *tls.Config) *tls.Config {
	cfg := clients.Clone()
	cfg.NextProtos, cfg.ClientAuth = []string{"http/1.1"}, tls.NoClientCert
	return cfg
}

func (s *Server) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "domain": s.cfg.Domain, "version": Version})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	s.handleWeb(mux)
	return mux
}
