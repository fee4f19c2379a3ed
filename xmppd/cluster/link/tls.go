package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Renew has streams that begin from now on show another certificate.
func (m *Mesh) Renew(certificate tls.Certificate) { m.certificate.Store(&certificate) }

// Certificate is what streams show that begin now.
func (m *Mesh) Certificate() *tls.Certificate { return m.certificate.Load() }

// clientTLS is for streams to a peer: its certificate has to bear its name.
func (m *Mesh) clientTLS(name string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: name, RootCAs: m.cfg.Authority,
		Certificates: []tls.Certificate{*m.certificate.Load()}, DynamicRecordSizingDisabled: true,
	}
}

// serverTLS is for streams of peers, whose names are looked at when they have said them. A certificate
// for a server is enough: the authority signs for nobody but the servers of the cluster.
func (m *Mesh) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*m.certificate.Load()},
		ClientAuth: tls.RequireAnyClientCert, DynamicRecordSizingDisabled: true, SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error { return verify(s.PeerCertificates, m.cfg.Authority) },
	}
}

// verify checks that the authority has signed a certificate.
func verify(chain []*x509.Certificate, authority *x509.CertPool) error {
	if len(chain) == 0 {
		return fmt.Errorf("no %w", errCertificate)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: authority, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("%w: %w", errCertificate, err)
	}
	return nil
}

// errCertificate: a peer has none, or one of another authority, or takes this server's for one of those.
var errCertificate = errors.New("certificate")

// explain says what a failed TLS handshake means for the cluster. Alerts of the other end have no type (RFC 8446 section 6.2): all of
// those about certificates say so.
func explain(err error) error {
	var stranger x509.UnknownAuthorityError
	var name x509.HostnameError
	var op *net.OpError
	switch {
	case errors.As(err, &stranger):
		return fmt.Errorf("its certificate is not of the authority of this cluster: %w", err)
	case errors.As(err, &name):
		return fmt.Errorf("its certificate is not in the name of that server: %w", err)
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate"):
		return fmt.Errorf("it does not take the %w of this server: %w", errCertificate, err)
	}
	return fmt.Errorf("TLS: %w", err)
}
