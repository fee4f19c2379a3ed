package xmppd

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/httpauth"
)

// AuthConfig says who may log in, and how.
type AuthConfig struct {
	Mechanisms []string `toml:"mechanisms"` // SASL mechanisms to offer; empty: all

	ClientCA     string                  `toml:"client_ca"` // PEM file of the authorities of client certificates; empty: none are asked for
	Certificates []CertificateNameConfig `toml:"certificate"`

	Source         string `toml:"source"`          // internal or http
	URL            string `toml:"url"`             // http: checks passwords
	KeysURL        string `toml:"keys_url"`        // http: has SCRAM keys. Empty: no SCRAM
	ExistsURL      string `toml:"exists_url"`      // http: knows which users exist. Empty: no logins by certificate
	SecretFile     string `toml:"secret_file"`     // http: bearer token
	TimeoutSeconds int    `toml:"timeout_seconds"` // http, of one question: 5
	AtOnce         int    `toml:"at_once"`         // http, questions under way: 64
}

// CertificateNameConfig maps client certificates that have no XMPP address to an account.
type CertificateNameConfig struct {
	Email      string `toml:"email"`       // subjectAltName rfc822Name
	CommonName string `toml:"common_name"` // of the subject
	Account    string `toml:"account"`
}

func (a *AuthConfig) check() error {
	for _, m := range a.Mechanisms {
		if !slices.Contains(c2s.Mechanisms(), m) {
			return fmt.Errorf("auth.mechanisms: there is no %q here, only %s", m, strings.Join(c2s.Mechanisms(), ", "))
		}
	}
	for _, c := range a.Certificates {
		if (c.Email == "") == (c.CommonName == "") || c.Account == "" {
			return errors.New("each [[auth.certificate]] needs an account, and either email or common_name")
		}
	}
	if len(a.Mechanisms) > 0 && a.ClientCA == "" && !slices.ContainsFunc(a.Mechanisms, func(m string) bool { return m != "EXTERNAL" }) {
		return errors.New("auth.mechanisms: EXTERNAL needs auth.client_ca, so nobody could log in")
	}
	switch a.Source {
	case "internal":
		if a.URL+a.KeysURL+a.ExistsURL+a.SecretFile != "" {
			return errors.New(`auth.url, keys_url, exists_url and secret_file are for source = "http"`)
		}
		return nil
	case "http":
	default:
		return fmt.Errorf("auth.source is internal or http, not %q", a.Source)
	}
	if a.URL == "" {
		return errors.New(`auth.source "http" needs auth.url`)
	}
	for _, s := range []string{a.URL, a.KeysURL, a.ExistsURL} {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("auth: %q is no http or https URL", s)
		}
	}
	return a.usable()
}

// usable reports mechanisms that a source over HTTP leaves nothing of.
func (a *AuthConfig) usable() error {
	if len(a.Mechanisms) == 0 || a.KeysURL != "" {
		return nil
	}
	if !slices.Contains(a.Mechanisms, "PLAIN") && !slices.Contains(a.Mechanisms, "EXTERNAL") {
		return errors.New("auth.mechanisms: without auth.keys_url there is only PLAIN (and EXTERNAL), so nobody could log in")
	}
	return nil
}

// authenticator makes the configured source. close ends it; streams may still ask it meanwhile.
func (s *Server) authenticator(cfg *Config) (auth c2s.Authenticator, done func(), err error) {
	if cfg.Auth.Source == "internal" {
		return c2s.NewStoreAuth(s.store), func() {}, nil
	}
	secret := ""
	if cfg.Auth.SecretFile != "" {
		text, err := os.ReadFile(cfg.Auth.SecretFile)
		if err != nil {
			return nil, nil, fmt.Errorf("auth.secret_file: %w", err)
		}
		if secret = strings.TrimSpace(string(text)); secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
			return nil, nil, fmt.Errorf("auth.secret_file: %s must hold one line, the secret", cfg.Auth.SecretFile)
		}
	}
	for _, address := range []string{cfg.Auth.URL, cfg.Auth.KeysURL, cfg.Auth.ExistsURL} {
		if u, err := url.Parse(address); err == nil && u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
			s.log.Warn("passwords go to the source of logins in the clear: use https", "host", u.Host)
			break
		}
	}
	source := httpauth.New(httpauth.Config{
		Domain: cfg.Domain, PasswordURL: cfg.Auth.URL, KeysURL: cfg.Auth.KeysURL, ExistsURL: cfg.Auth.ExistsURL, Secret: secret,
		Timeout: time.Duration(cfg.Auth.TimeoutSeconds) * time.Second, AtOnce: cfg.Auth.AtOnce, Decoy: s.store.Secret,
		Log: s.log, Metrics: s.sourceMetrics,
	})
	return source, source.Close, nil
}

// clientCertificates reads the authorities.
func (s *Server) clientCertificates(cfg *Config) (c c2s.ClientCertificates, err error) {
	for _, n := range cfg.Auth.Certificates {
		j, err := stanza.ParseJID(n.Account + "@" + cfg.Domain)
		if err != nil || j.Local == "" || j.Domain != cfg.Domain || j.Resource != "" {
			return c, fmt.Errorf("auth.certificate: %q can't be the name of an account", n.Account)
		}
		c.Names = append(c.Names, c2s.CertificateName{Email: n.Email, CommonName: n.CommonName, Account: j.Local})
	}
	if cfg.Auth.ClientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(cfg.Auth.ClientCA)
	if err != nil {
		return c, fmt.Errorf("auth.client_ca: %w", err)
	}
	c.Authorities = x509.NewCertPool()
	if !c.Authorities.AppendCertsFromPEM(text) {
		return c, fmt.Errorf("auth.client_ca: %s has no certificate in PEM form", cfg.Auth.ClientCA)
	}
	return c, nil
}

// ensure makes the local record of a user whose password another system keeps: the roster and
// messages for later need an account. It has no keys.
func (a *Accounts) ensure(ctx context.Context, name string) error {
	_, err := a.Store.Account(ctx, name)
	if !errors.Is(err, account.ErrNotFound) {
		return err //nolint:wrapcheck // says what was asked for
	}
	err = a.Store.Create(ctx, &account.Account{Name: name, Created: time.Now().UTC()})
	if errors.Is(err, account.ErrExists) {
		return nil // another stream of the user was faster
	}
	if err == nil && a.Watch != nil {
		a.Watch.AccountAdded(ctx, name, "")
	}
	return err //nolint:wrapcheck // says what was asked for
}
