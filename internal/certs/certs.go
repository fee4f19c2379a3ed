// Package certs makes X.509 certificates with ECDSA P-256 keys, for servers that
// nobody has given one: the self-signed one of an XMPP server, the authority and
// the server certificate of a development cluster, those of tests.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Options says what a certificate is for.
type Options struct {
	Name         string        // common name
	Organization string        // may be empty
	Hosts        []string      // DNS names and IP addresses of the server; none: it is no server's
	Authority    bool          // it can sign others
	Client       bool          // it is a client's
	Addresses    []string      // XMPP addresses of a client, instead of what else could name it
	Emails       []string      // of a client without XMPP addresses
	Lifetime     time.Duration // from now on
}

// Pair is a certificate with its private key.
type Pair struct {
	Leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes a certificate that issuer signs; with a nil issuer it signs itself.
func New(o Options, issuer *Pair) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of %s: %w", o.Name, err)
	}
	t, err := o.template()
	if err != nil {
		return nil, err
	}
	parent, signer := t, key
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", o.Name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back certificate of %s: %w", o.Name, err)
	}
	return &Pair{leaf, key}, nil
}

func (o *Options) template() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw serial number of %s: %w", o.Name, err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: o.Name},
		NotBefore:    now.Add(-time.Hour), // for clocks that step back a little
		NotAfter:     now.Add(o.Lifetime),
	}
	if o.Organization != "" {
		t.Subject.Organization = []string{o.Organization}
	}
	if o.Authority {
		t.IsCA, t.BasicConstraintsValid = true, true
		t.KeyUsage |= x509.KeyUsageCertSign
	}
	if len(o.Hosts) > 0 {
		t.KeyUsage |= x509.KeyUsageDigitalSignature
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, h := range o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	if o.Client {
		return t, o.client(t)
	}
	return t, nil
}

// CertPEM is the certificate as a PEM block.
func (p *Pair) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Leaf.Raw})
}

// KeyPEM is the private key as a PEM block (PKCS #8): a secret.
func (p *Pair) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// TLS is the pair for a server or a client.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.Leaf.Raw}, PrivateKey: p.key, Leaf: p.Leaf}
}

// Load reads a pair from PEM files, a key as KeyPEM writes it.
func Load(certFile, keyFile string) (*Pair, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate and key: %w", err)
	}
	key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read %s: it is no ECDSA key", keyFile)
	}
	return &Pair{c.Leaf, key}, nil
}
