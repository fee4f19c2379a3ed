package xmppd

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/bosh"
	"github.com/rosterdb/rosterdb/xmppd/web"
	"github.com/rosterdb/rosterdb/xmppd/websocket"
)

// WebConfig is about clients that come over HTTP: WebSocket and BOSH.
type WebConfig struct {
	URL            string   `toml:"url"`             // public address of the HTTP listener; empty: as the client says
	Origins        []string `toml:"origins"`         // of pages that may use the server; empty: any
	TrustedProxies []string `toml:"trusted_proxies"` // addresses or networks whose X-Forwarded-* is believed

	BOSH BOSHConfig `toml:"bosh"`
}

// BOSHConfig is about sessions over HTTP requests (XEP-0124). Zero stands for the default.
type BOSHConfig struct {
	WaitSeconds       int `toml:"wait_seconds"`       // longest that a request is held: 60
	Hold              int `toml:"hold"`               // requests held at once: 1
	InactivitySeconds int `toml:"inactivity_seconds"` // longest without a request: 60
	MaxPauseSeconds   int `toml:"max_pause_seconds"`  // the same when the client asks for a pause: 120
	PresenceDelayMS   int `toml:"presence_delay_ms"`  // for which presence waits for more of it: 300; -1: none
}

func (w *WebConfig) check() error {
	if w.URL != "" {
		if err := web.CheckURL(w.URL); err != nil {
			return fmt.Errorf("web.url %q %w", w.URL, err)
		}
	}
	if _, err := web.ParseOrigins(w.Origins); err != nil {
		return fmt.Errorf("web.origins: %w", err)
	}
	if _, err := web.ParseProxies(w.TrustedProxies); err != nil {
		return fmt.Errorf("web.trusted_proxies: %w", err)
	}
	if w.BOSH.Hold > 8 || w.BOSH.PresenceDelayMS < -1 {
		return errors.New("web.bosh: hold is 8 at most, presence_delay_ms -1 at least")
	}
	return nil
}

func (b *BOSHConfig) presenceDelay() time.Duration {
	switch b.PresenceDelayMS {
	case 0:
		return 300 * time.Millisecond
	case -1:
		return 0
	}
	return time.Duration(b.PresenceDelayMS) * time.Millisecond
}

// webConnections bounds the connections of both listeners together; by address not for exempt ones and proxies.
func (s *Server) webConnections() *web.Connections {
	free, _ := web.ParseProxies(slices.Concat(s.cfg.Web.TrustedProxies, s.cfg.Limits.Exempt))
	total, perAddress := s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerAddress
	if total == 0 {
		total = 100_000
	}
	if perAddress == 0 {
		perAddress = 2000
	}
	return web.NewConnections(total, perAddress, free, s.registry)
}

// handleWeb adds the ways in for web clients. Config.Check has seen the configuration.
func (s *Server) handleWeb(mux *http.ServeMux) {
	proxies, _ := web.ParseProxies(s.cfg.Web.TrustedProxies)
	origins, _ := web.ParseOrigins(s.cfg.Web.Origins)
	meta := web.HostMeta{URL: s.cfg.Web.URL, Proxies: proxies}
	mux.HandleFunc("GET /.well-known/host-meta", meta.XML)
	mux.HandleFunc("GET /.well-known/host-meta.json", meta.JSON)
	limits := stanza.Limits{MaxStanza: s.cfg.Limits.StanzaBytes, MaxDepth: s.cfg.Limits.Depth}
	mux.Handle("GET "+web.WebSocketPath, websocket.New(websocket.Config{
		Streams: s.c2s, Peer: proxies.Peer, Origin: origins.Allow, Limits: limits, Log: s.log, Registerer: s.registry,
	}))
	b := s.cfg.Web.BOSH
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	s.bosh = bosh.New(bosh.Config{
		Streams: s.c2s, Peer: proxies.Peer, Limits: limits,
		Wait: seconds(b.WaitSeconds), Hold: b.Hold, Inactivity: seconds(b.InactivitySeconds),
		MaxPause: seconds(b.MaxPauseSeconds), PresenceDelay: b.presenceDelay(),
		Log: s.log, Registerer: s.registry, Faults: s.faults.bosh,
	})
	cors := origins.CORS("POST, OPTIONS", s.bosh)
	mux.Handle("POST "+web.BOSHPath, cors)
	mux.Handle("OPTIONS "+web.BOSHPath, cors)
}
