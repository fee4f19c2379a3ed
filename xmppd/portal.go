package xmppd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/portal"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// PortalConfig is the listener for the events of a portal.
type PortalConfig struct {
	Listen        string `toml:"listen"`         // host:port. Empty: off
	SecretFile    string `toml:"secret_file"`    // its first line is the secret, 16 bytes or more
	WindowSeconds int    `toml:"window_seconds"` // how far a time stamp may be off; 0: 300
	From          string `toml:"from"`           // the JID that messages come from; empty: the domain
}

// check reports what can't work, and fills in what is empty.
func (c *PortalConfig) check(domain string) error {
	if c.Listen == "" {
		return nil
	}
	if c.From == "" {
		c.From = domain
	}
	j, err := stanza.ParseJID(c.From)
	switch {
	case c.SecretFile == "":
		return errors.New("portal.listen is given, and no portal.secret_file")
	case err != nil || j.Domain != domain:
		return fmt.Errorf("portal.from is %q, which is no JID of %s", c.From, domain)
	}
	c.From = j.String()
	return nil
}

// newPortal makes the handler of the portal's listener; nil if there is none.
func (s *Server) newPortal(r *router.Router) (http.Handler, error) {
	if s.cfg.Portal.Listen == "" {
		return nil, nil
	}
	c := s.cfg.Portal
	text, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("portal.secret_file: %w", err)
	}
	secret, _, _ := bytes.Cut(text, []byte("\n"))
	exists := func(ctx context.Context, user stanza.JID) (bool, error) {
		if user.Domain != s.cfg.Domain {
			return true, nil // known to the component of that domain, if to anybody
		}
		return s.accounts.exists(ctx, user.Local)
	}
	return portal.New(portal.Config{
		Secret: bytes.TrimRight(secret, "\r"), Window: time.Duration(c.WindowSeconds) * time.Second, From: c.From,
		Exists:   exists,
		Injector: r, Store: s.records, Log: s.log, Registerer: s.registry,
	})
}
