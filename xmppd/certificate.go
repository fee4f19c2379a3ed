package xmppd

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/net/idna"
)

// expiresSoon is how long before its end a certificate is warned about.
const expiresSoon = 14 * 24 * time.Hour

// tellCertificate logs which certificate clients are shown, and what they will not like about it. It
// is used all the same: who has to put things right may be among those who log in.
func (s *Server) tellCertificate(cfg *Config, set *tls.Config) {
	leaf := set.Certificates[0].Leaf
	log := s.log.With("file", certificateFile(cfg))
	log.Info("certificate", "names", leaf.DNSNames, "from", leaf.NotBefore.UTC(), "until", leaf.NotAfter.UTC())
	if !names(leaf, cfg.Domain) {
		log.Warn("the certificate does not name the domain, so clients will refuse it: get one whose subjectAltName has the domain, and give it by --tls-cert and --tls-key",
			"domain", cfg.Domain, "names", leaf.DNSNames)
	}
	warnOfEnd(log, leaf, "clients")
}

// certificateFile is where the certificate for clients is.
func certificateFile(cfg *Config) string {
	if cfg.TLSCert == "" {
		return filepath.Join(cfg.Data, selfSignedCert)
	}
	return cfg.TLSCert
}

// warnOfEnd warns of a certificate that is not valid any more, or soon, or yet.
func warnOfEnd(log *slog.Logger, leaf *x509.Certificate, who string) {
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		log.Warn("the certificate has expired, so "+who+" will refuse it: renew it and send SIGHUP", "until", leaf.NotAfter.UTC())
	case now.Before(leaf.NotBefore):
		log.Warn("the certificate is not valid yet, so "+who+" will refuse it: look at the clock, or get another one", "from", leaf.NotBefore.UTC())
	case leaf.NotAfter.Sub(now) < expiresSoon:
		log.Warn("the certificate expires soon; then "+who+" will refuse it: renew it and send SIGHUP", "until", leaf.NotAfter.UTC())
	}
}

// names reports whether a certificate is one of the domain, as clients look at it (RFC 6120 section
// 13.7.1.2, DNS-ID).
func names(leaf *x509.Certificate, domain string) bool {
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil { // certificates have no other form
		domain = ascii
	}
	return leaf.VerifyHostname(domain) == nil
}

// fileSums are fingerprints of what is in the files that the configuration names and that matter to Reload, by key: the names alone
// don't tell that a certificate was renewed.
func fileSums(cfg *Config) map[string][sha256.Size]byte {
	sums := make(map[string][sha256.Size]byte)
	for key, file := range map[string]string{
		"tls_cert": cfg.TLSCert, "tls_key": cfg.TLSKey,
		"auth.client_ca": cfg.Auth.ClientCA, "auth.secret_file": cfg.Auth.SecretFile,
		"cluster.cert": cfg.Cluster.Cert, "cluster.key": cfg.Cluster.Key, "cluster.ca": cfg.Cluster.CA, "cluster.key_file": cfg.Cluster.KeyFile,
	} {
		if text, err := os.ReadFile(file); err == nil { // one that can't be read is an error elsewhere
			sums[key] = sha256.Sum256(text)
		}
	}
	return sums
}

// withFiles adds the keys whose files have changed to those of changes. Files that need a restart stay in now as the server has read
// them, so that they are told again.
func withFiles(changed, waiting []string, old, now map[string][sha256.Size]byte) (c, w []string) {
	for key, sum := range now {
		to := &waiting
		if canReload(key) {
			to = &changed
		}
		if old[key] != sum && !slices.Contains(*to, key) {
			*to = append(*to, key)
		}
		if was, ok := old[key]; ok && !canReload(key) {
			now[key] = was
		}
	}
	slices.Sort(changed)
	slices.Sort(waiting)
	return changed, waiting
}
