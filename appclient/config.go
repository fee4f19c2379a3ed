package appclient

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// Defaults of Config's fields that are zero.
const (
	DefaultTryTimeout = time.Second
	DefaultMaxStanza  = 256 << 10 // bytes
)

// Config says who logs in where.
type Config struct {
	JID      string // bare JID of the application's account
	Password string
	// Addrs are XMPP servers as host:port; empty: SRV records of the JID's domain. With several,
	// which are one cluster, the client keeps streams to two of them, the first chosen at
	// random: the death of a server costs it neither an error nor the wait for a new login.
	Addrs []string

	// RootCAs verify the server's certificate; nil uses the system's.
	RootCAs *x509.CertPool
	// TLS, when set, is used instead of RootCAs, for client certificates and
	// the like. Certificates are verified whatever it says.
	TLS               *tls.Config
	DirectTLS         bool // TLS from the first byte; else STARTTLS
	InsecurePlaintext bool // no TLS; refused unless the server is on a loopback address

	// Zone is that of the application, as the ring has zones. Reads that any
	// replica may answer go to one in it, if there is one; and a cluster of
	// xmppd with zones sends the client to a server in it.
	Zone string

	Resource string       // empty: a random one, so that many clients share an account; a second stream adds -2
	Logger   *slog.Logger // nil: nothing is logged

	// TryTimeout is the longest that one try of an operation waits for its
	// answer before the next candidate is asked; 0: DefaultTryTimeout.
	TryTimeout time.Duration
	// MaxStanza is the server's limit on a stanza in bytes; larger writes are
	// sent in parts. 0: DefaultMaxStanza.
	MaxStanza int
}

// check refuses what no server could make sense of.
func (cfg *Config) check() error {
	switch j, err := stanza.ParseJID(cfg.JID); {
	case err != nil:
		return fmt.Errorf("%w: JID: %w", ErrInvalid, err)
	case j.Local == "":
		return fmt.Errorf("%w: JID: there is no account in it; write user@domain", ErrInvalid)
	}
	return nil
}

func (cfg Config) withDefaults() Config {
	if cfg.TryTimeout <= 0 {
		cfg.TryTimeout = DefaultTryTimeout
	}
	if cfg.MaxStanza <= 0 {
		cfg.MaxStanza = DefaultMaxStanza
	}
	if cfg.Resource == "" {
		cfg.Resource = "app-" + strings.ToLower(rand.Text()[:12])
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// stream is the configuration of the XMPP stream.
func (cfg *Config) stream() xmppconn.Config {
	t := cfg.TLS
	if t == nil && cfg.RootCAs != nil {
		t = &tls.Config{RootCAs: cfg.RootCAs}
	}
	return xmppconn.Config{
		JID:               cfg.JID,
		Password:          cfg.Password,
		Resource:          cfg.Resource,
		Addrs:             spread(cfg.Addrs),
		Zone:              cfg.Zone,
		TLS:               t,
		DirectTLS:         cfg.DirectTLS,
		InsecurePlaintext: cfg.InsecurePlaintext,
		Logger:            cfg.Logger,
	}
}

// spread lets a list begin anywhere, so that clients are spread over servers.
func spread(addrs []string) []string {
	if len(addrs) < 2 {
		return addrs
	}
	at := mathrand.IntN(len(addrs))
	return append(append([]string(nil), addrs[at:]...), addrs[:at]...)
}

// FromDev reads the file cluster.json that `ringctl dev up` writes into the
// cluster's directory (with -o json it prints the same), and returns the
// configuration of that cluster's application account.
func FromDev(file string) (Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("read development cluster: %w; start one with `ringctl dev up --dir DIR` and name DIR/cluster.json", err)
	}
	var dev struct {
		CA                string `json:"ca"`
		InsecurePlaintext bool   `json:"insecure_plaintext"`
		Servers           []struct {
			C2S string `json:"c2s"`
			TLS string `json:"tls"`
		} `json:"servers"`
		Accounts map[string]struct {
			JID      string `json:"jid"`
			Password string `json:"password"`
		} `json:"accounts"`
	}
	if err := json.Unmarshal(b, &dev); err != nil {
		return Config{}, fmt.Errorf("read development cluster %s: %w", file, err)
	}
	app, ok := dev.Accounts["app"]
	if !ok {
		return Config{}, fmt.Errorf("read development cluster %s: it has no account \"app\"", file)
	}
	cfg := Config{JID: app.JID, Password: app.Password, InsecurePlaintext: dev.InsecurePlaintext}
	for _, s := range dev.Servers {
		if s.C2S != "" {
			cfg.Addrs = append(cfg.Addrs, s.C2S)
		}
	}
	if len(cfg.Addrs) == 0 {
		cfg.DirectTLS, cfg.InsecurePlaintext = true, false
		for _, s := range dev.Servers {
			if s.TLS != "" {
				cfg.Addrs = append(cfg.Addrs, s.TLS)
			}
		}
	}
	if len(cfg.Addrs) == 0 {
		return Config{}, fmt.Errorf("read development cluster %s: no server in it listens for clients", file)
	}
	if dev.CA != "" {
		ca := dev.CA
		if !filepath.IsAbs(ca) {
			ca = filepath.Join(filepath.Dir(file), ca)
		}
		if cfg.RootCAs, err = ReadCA(ca); err != nil {
			return Config{}, err
		}
	}
	return cfg, nil
}

// ReadCA reads a PEM file of certificate authorities, for Config.RootCAs.
func ReadCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA certificate %s: %w", file, errors.New("there is no PEM certificate in it"))
	}
	return pool, nil
}
