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

// tlsConfig is that of clients.
func (s *Server) tlsConfig(cfg *Config) (*tls.Config, error) {
	cert, err := s.certificate(cfg)
	if err != nil {
		return nil, err
	}
	ask := tls.NoClientCert
	if cfg.Auth.ClientCA != "" {
		// One that doesn't fit only means that EXTERNAL isn't offered, so crypto/tls doesn't judge.
		ask = tls.RequestClientCert
	}
	return &tls.Config{
		ClientAuth:   ask,
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2: what RFC 9325 section 4.2 recommends, and ChaCha20
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{"xmpp-client"}, // XEP-0368
		// Records are written in bursts; small ones would only cost system calls and headers.
		DynamicRecordSizingDisabled: true,
	}, nil
}

// webTLS is the configuration for browsers: neither HTTP/2, which can't be upgraded to WebSocket,
// nor client certificates, which a browser would ask its user for.
func webTLS(clients *tls.Config) *tls.Config {
	cfg := clients.Clone()
	cfg.NextProtos, cfg.ClientAuth = []string{"http/1.1"}, tls.NoClientCert
	return cfg
}

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
	var path *fs.PathError
	switch {
	case errors.As(err, &path): // names the file
		return tls.Certificate{}, misconfigured(fmt.Errorf("load certificate: %w", err))
	case err != nil:
		return tls.Certificate{}, misconfigured(fmt.Errorf("load certificate %s with key %s: %w", certFile, keyFile, err))
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
