package devcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// certLifetime is long enough for any development cluster and short enough that
// a forgotten one does not stay trusted for ever.
const certLifetime = 365 * 24 * time.Hour

// makeCertificates writes an authority and a server certificate of it, unless
// they are there. The authority's key is thrown away: nothing else can be
// issued under it, so trusting ca.pem trusts this one server only.
func makeCertificates(l layout, domain string) error {
	if _, err := os.Stat(l.key()); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the server's key: %w", err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make authority key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make server key: %w", err)
	}
	now := time.Now()
	ca, err := certificateTemplate("RosterDB development authority", now)
	if err != nil {
		return err
	}
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	server, err := certificateTemplate(domain, now)
	if err != nil {
		return err
	}
	server.KeyUsage = x509.KeyUsageDigitalSignature
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames = []string{domain}
	if domain != "localhost" {
		server.DNSNames = append(server.DNSNames, "localhost")
	}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}

	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("sign authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, server, ca, &key.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("sign server certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode server key: %w", err)
	}
	// The key comes last: its presence means that all three are complete.
	for _, f := range []struct {
		file, kind string
		der        []byte
	}{
		{l.ca(), "CERTIFICATE", caDER}, {l.cert(), "CERTIFICATE", der}, {l.key(), "PRIVATE KEY", keyDER},
	} {
		if err := writeSecret(f.file, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})); err != nil {
			return err
		}
	}
	if err := os.Chmod(l.ca(), 0o644); err != nil {
		return fmt.Errorf("open ca.pem to readers: %w", err)
	}
	return nil
}

func certificateTemplate(name string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"RosterDB development cluster"}},
		NotBefore:    now.Add(-time.Hour), // for clocks that step back a little
		NotAfter:     now.Add(certLifetime),
	}, nil
}
