package xmppd

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// Config is the configuration of a server; the TOML file has the same keys. Defaults makes one.
type Config struct {
	Domain string `toml:"domain"`
	Data   string `toml:"data"` // directory

	ListenC2S string `toml:"listen_c2s"` // host:port; plain, then STARTTLS. Empty: off
	ListenTLS string `toml:"listen_tls"` // host:port; TLS from the first byte. Empty: off
	// ListenComponent is where external components connect (XEP-0114), host:port. Empty: off
	ListenComponent string `toml:"listen_component"`
	ListenHTTP      string `toml:"listen_http"` // host:port; web clients, /healthz and /metrics. Empty: off
	// ListenHTTPS is the same through TLS.
	ListenHTTPS string `toml:"listen_https"`

	TLSCert           string `toml:"tls_cert"` // PEM file; empty: a self-signed one in Data
	TLSKey            string `toml:"tls_key"`
	InsecurePlaintext bool   `toml:"insecure_plaintext"` // login without TLS; loopback only
	Registration      string `toml:"registration"`       // open or closed
	// ResourceConflict: what happens when a bound resource is asked for again: replace, refuse or rename.
	ResourceConflict string `toml:"resource_conflict"`

	IO string `toml:"io"` // loop, or goroutine: one for each client

	LogLevel  string `toml:"log_level"`  // debug, info, warn, error
	LogFormat string `toml:"log_format"` // text or json

	Auth     AuthConfig      `toml:"auth"`
	Web      WebConfig       `toml:"web"`
	Modules  ModulesConfig   `toml:"modules"`
	Limits   LimitsConfig    `toml:"limits"`
	Presence PresenceConfig  `toml:"presence"`
	Accounts []AccountConfig `toml:"account"`
	// Components may connect to ListenComponent.
	Components []ComponentConfig `toml:"component"`
	Portal     PortalConfig      `toml:"portal"`
	Cluster    ClusterConfig     `toml:"cluster"`
}

// AccountConfig is an account that the server makes when it starts, if it doesn't exist yet.
type AccountConfig struct {
	Name         string `toml:"name"`
	Group        string `toml:"group"`
	PasswordFile string `toml:"password_file"`
}

// Defaults is the configuration without file and flags.
func Defaults() Config {
	return Config{
		Data: "xmppd-data", ListenC2S: ":5222", ListenTLS: ":5223",
		Registration: "closed", ResourceConflict: "replace", IO: "loop", LogLevel: "info", LogFormat: "text",
		Presence: PresenceConfig{Directed: true},
		Auth:     AuthConfig{Source: "internal"},
		Cluster:  ClusterConfig{Redirect: "able", Storage: "replicated"},
		Limits:   LimitsConfig{Exempt: []string{"127.0.0.0/8", "::1"}},
	}
}

// ConfigError is an error that the configuration has to be changed for, or the files that it names.
type ConfigError struct{ err error }

func (e *ConfigError) Error() string { return e.err.Error() }
func (e *ConfigError) Unwrap() error { return e.err }

// misconfigured makes an error a ConfigError.
func misconfigured(err error) error {
	if err == nil {
		return nil
	}
	return &ConfigError{err}
}

// Check reports the first thing in the configuration that can't work, a ConfigError.
func (c *Config) Check() error { return misconfigured(c.check()) }

func (c *Config) check() error {
	j, err := stanza.ParseJID(c.Domain)
	switch {
	case c.Domain == "":
		return errors.New("no domain: give --domain or the key domain")
	case err != nil || j.Local != "" || j.Resource != "":
		return fmt.Errorf("domain %q is not a domain", c.Domain)
	case c.Data == "":
		return errors.New("no data directory: give --data or the key data")
	case c.ListenC2S == "" && c.ListenTLS == "":
		return errors.New("no listener for clients: give --listen-c2s or --listen-tls")
	case c.Registration != "open" && c.Registration != "closed":
		return fmt.Errorf("registration is open or closed, not %q", c.Registration)
	case c.ResourceConflict != "replace" && c.ResourceConflict != "refuse" && c.ResourceConflict != "rename":
		return fmt.Errorf("resource_conflict is replace, refuse or rename, not %q", c.ResourceConflict)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key belong together")
	case c.IO != "loop" && c.IO != "goroutine":
		return fmt.Errorf("io is loop or goroutine, not %q", c.IO)
	case c.LogFormat != "text" && c.LogFormat != "json":
		return fmt.Errorf("log format is text or json, not %q", c.LogFormat)
	}
	c.Domain = j.Domain
	if err := c.checkNumbers(); err != nil {
		return err
	}
	for _, err := range []error{c.Web.check(), c.Modules.check(), c.Portal.check(c.Domain), c.checkAddrs(), c.checkAccounts(), c.Limits.check(), c.Auth.check(), c.Cluster.check()} {
		if err != nil {
			return err
		}
	}
	if c.InsecurePlaintext {
		for _, addr := range []string{c.ListenC2S, c.ListenTLS, c.ListenHTTP} {
			if addr != "" && !loopback(addr) {
				return fmt.Errorf("--insecure-plaintext sends passwords in the clear, so it works on loopback addresses only; %q is none: listen on 127.0.0.1 or leave the flag away", addr)
			}
		}
	}
	return nil
}

// checkAddrs reports the first address to listen on that can't be one.
func (c *Config) checkAddrs() error {
	for _, l := range []struct{ key, addr string }{
		{"listen_c2s", c.ListenC2S},
		{"listen_tls", c.ListenTLS},
		{"listen_component", c.ListenComponent},
		{"listen_http", c.ListenHTTP},
		{"listen_https", c.ListenHTTPS},
		{"portal.listen", c.Portal.Listen},
		{"cluster.listen", c.Cluster.Listen},
	} {
		if l.addr == "" {
			continue
		}
		_, port, err := net.SplitHostPort(l.addr)
		if err == nil && port != "" {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil || port == "" {
			return fmt.Errorf("%s is HOST:PORT or :PORT, with a port up to 65535, not %q", l.key, l.addr)
		}
	}
	return nil
}

func (c *Config) checkAccounts() error {
	for _, a := range c.Accounts {
		if a.Name == "" || a.PasswordFile == "" {
			return fmt.Errorf("each [[account]] needs a name and a password_file; that of %q has not both", a.Name)
		}
	}
	return nil
}

// Bounds of all numbers, so that none overflows what is computed of it.
const (
	maxNumber = 1<<31 - 1
	maxDays   = 36_500
)

// checkNumbers reports the first number below zero, but for one that has a meaning, or too large.
func (c *Config) checkNumbers() (err error) {
	v := reflect.ValueOf(c).Elem()
	walk("", v, v, func(key string, n, _ reflect.Value) {
		if !n.CanInt() || err != nil {
			return
		}
		most := int64(maxNumber)
		if strings.HasSuffix(key, "days") {
			most = maxDays
		}
		switch {
		case n.Int() < 0 && key != "web.bosh.presence_delay_ms":
			err = fmt.Errorf("%s can't be negative", key)
		case n.Int() > most:
			err = fmt.Errorf("%s is %d at most, not %d", key, most, n.Int())
		}
	})
	return err
}

// loopback reports whether an address to listen on can only be reached from this machine.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *Config) conflict() c2s.Conflict {
	switch c.ResourceConflict {
	case "refuse":
		return c2s.Refuse
	case "rename":
		return c2s.Rename
	}
	return c2s.Replace
}
