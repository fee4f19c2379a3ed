package xmppd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// certificate reads what a server shows the others, and refuses what they would refuse: they would say so in their logs only.
func (c *ClusterConfig) certificate(name string, authority *x509.CertPool) (pair tls.Certificate, err error) {
	if pair, err = tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
		return pair, fmt.Errorf("cluster.cert and cluster.key: %w", err)
	}
	if err := pair.Leaf.VerifyHostname(name); err != nil {
		return pair, fmt.Errorf("cluster.cert has to name the server %s: %w", name, err)
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil { // others don't look at what is none
			between.AddCert(c)
		}
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: authority, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	var invalid x509.CertificateInvalidError
	switch dated := errors.As(err, &invalid) && invalid.Reason == x509.Expired; {
	case err == nil:
		return pair, nil
	case dated && !invalid.Cert.Equal(pair.Leaf):
		return pair, fmt.Errorf("cluster.ca, the authority of %s, is not valid now: make a new one, and certificates of it for all servers; or look at the clock: %w", c.Cert, err)
	case dated:
		return pair, fmt.Errorf("cluster.cert: %s is valid from %s until %s, so the other servers refuse it: renew it (xmppd cluster secrets), or look at the clock: %w",
			c.Cert, pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339), err)
	}
	return pair, fmt.Errorf("cluster.cert: %s is not of the authority in cluster.ca (%s), so the other servers refuse it: take both from the same directory of xmppd cluster secrets: %w", c.Cert, c.CA, err)
}

// renewal reads a certificate for the other servers that may be new: nil in a server without cluster. It has to be one that the running
// server would take from another one.
func (s *Server) renewal(cfg *Config) (*tls.Certificate, error) {
	if s.cluster == nil || cfg.Cluster.Listen == "" {
		return nil, nil //nolint:nilnil // as said
	}
	pair, err := cfg.Cluster.certificate(s.cluster.Self().Name, s.authority)
	if err != nil {
		return nil, misconfigured(err)
	}
	return &pair, nil
}

// tellLinks logs which certificate the other servers are shown, and whether it ends soon. reloading must be held, or nobody else be
// there yet.
func (s *Server) tellLinks() {
	leaf := s.cluster.Mesh().Certificate().Leaf
	log := s.log.With("file", s.cfg.Cluster.Cert)
	log.Info("certificate for other servers", "from", leaf.NotBefore.UTC(), "until", leaf.NotAfter.UTC())
	warnOfEnd(log, leaf, "the other servers")
}

// lookEvery is how often a running server looks whether its certificates end soon.
const lookEvery = 24 * time.Hour

// watchCertificates warns of certificates that end, each day: at the start others tell of them.
func (s *Server) watchCertificates(ctx context.Context) {
	every := s.faults.lookEvery
	if every == 0 {
		every = lookEvery
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		s.reloading.Lock()
		warnOfEnd(s.log.With("file", certificateFile(&s.cfg)), s.webTLS.Load().Certificates[0].Leaf, "clients")
		if s.cluster != nil {
			warnOfEnd(s.log.With("file", s.cfg.Cluster.Cert), s.cluster.Mesh().Certificate().Leaf, "the other servers")
		}
		s.reloading.Unlock()
	}
}
