package xmppd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
)

// Files of the certificate that a server without one makes in its data directory.
const (
	selfSignedCert = "self-signed.crt"
	selfSignedKey  = "self-signed.key"
)

// selfSignedLifetime is ten years: nobody is told to replace it.
const selfSignedLifetime = 10 * 365 * 24 * time.Hour

// certificate loads the configured certificate, or the self-signed one of the data directory,
// which it makes the first time.
func (s *Server) certificate(cfg *Config) (tls.Certificate, error) {
	certFile, keyFile := cfg.TLSCert, cfg.TLSKey
	if certFile == "" {
		certFile = filepath.Join(cfg.Data, selfSignedCert)
		keyFile = filepath.Join(cfg.Data, selfSignedKey)
		if _, err := os.Stat(keyFile); errors.Is(err, fs.ErrNotExist) {
			if err := makeCertificate(cfg.Domain, certFile, keyFile); err != nil {
				return tls.Certificate{}, err
			}
		}
		s.log.Warn("no certificate given: using a self-signed one, which clients must be told to trust", "file", certFile)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return cert, nil
}

// makeCertificate makes a self-signed certificate that is its own authority.
func makeCertificate(domain, certFile, keyFile string) error {
	pair, err := certs.New(certs.Options{Name: domain, Hosts: []string{domain}, Authority: true, Lifetime: selfSignedLifetime}, nil)
	if err != nil {
		return err
	}
	key, err := pair.KeyPEM()
	if err != nil {
		return err
	}
	// The key comes last: with it the pair is complete.
	if err := os.WriteFile(certFile, pair.CertPEM(), 0o644); err != nil { //nolint:gosec // public
		return fmt.Errorf("write certificate: %w", err)
	}
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}
