package xmppd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveHTTP serves until Close. hook, which may be nil, is told of connections.
func (s *Server) serveHTTP(l net.Listener, h http.Handler, hook func(net.Conn, http.ConnState)) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ConnState: hook,
		ErrorLog: log.New(httpErrors{s.log}, "", 0),
	}
	s.web = append(s.web, srv)
	s.run(func() error {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
		return nil
	})
}

// httpErrors is where net/http writes what it has to say.
type httpErrors struct{ log *slog.Logger }

// Write implements io.Writer. What strangers can cause as often as they like is for who looks for it.
func (h httpErrors) Write(p []byte) (int, error) {
	text, level := strings.TrimSpace(string(p)), slog.LevelWarn
	if strings.Contains(text, "TLS handshake error") {
		level = slog.LevelDebug
	}
	h.log.Log(context.Background(), level, "http listener", "error", text)
	return len(p), nil
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
