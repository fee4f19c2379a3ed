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
		answer, status := map[string]any{"ok": true, "domain": s.cfg.Domain, "version": Version}, http.StatusOK
		err := s.health()
		if err == nil && !s.ready.Load() {
			err = errWaits
		}
		warnings, refused := s.standing()
		if err == nil {
			err = refused
		}
		if err != nil {
			if !errors.Is(err, errWaits) && s.ready.Load() { // what it waits for at its start is told by who waits
				s.log.Error("the server is not well", "error", err)
			}
			answer["ok"], answer["error"], status = false, err.Error(), http.StatusServiceUnavailable
		}
		if len(warnings) > 0 {
			answer["warning"] = strings.Join(warnings, "; ")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	s.handleWeb(mux)
	return closeChunked(s.whenReady(mux))
}

// errWaits: the server has begun, and waits for its records.
var errWaits = errors.New("the server waits for the records of its cluster, and takes no clients yet")

// whenReady refuses web clients before the records are there.
func (s *Server) whenReady(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.ready.Load() && r.URL.Path != "/healthz" && r.URL.Path != "/metrics" {
			http.Error(w, errWaits.Error(), http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// closeChunked ends the connection behind a request in chunks. net/http prefers them to a
// Content-Length that comes with them, and a proxy in front may have decided otherwise: what follows
// would be a request to one and content to the other (RFC 9112 section 6.1).
func closeChunked(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
