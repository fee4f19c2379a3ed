package devcluster

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
)

// certLifetime is long enough for any development cluster and short enough that
// a forgotten one does not stay trusted for ever.
const certLifetime = 365 * 24 * time.Hour

const certOrganization = "RosterDB development cluster"

// makeCertificates writes an authority and a server certificate of it, unless
// they are there. The authority's key is thrown away: nothing else can be
// issued under it, so trusting ca.pem trusts this one server only.
func makeCertificates(l layout, domain string) error {
	if _, err := os.Stat(l.key()); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the server's key: %w", err)
	}
	ca, err := certs.New(certs.Options{
		Name: "RosterDB development authority", Organization: certOrganization,
		Authority: true, Lifetime: certLifetime,
	}, nil)
	if err != nil {
		return err
	}
	hosts := []string{domain, "127.0.0.1", "::1"}
	if domain != "localhost" {
		hosts = append(hosts, "localhost")
	}
	server, err := certs.New(certs.Options{
		Name: domain, Organization: certOrganization, Hosts: hosts, Lifetime: certLifetime,
	}, ca)
	if err != nil {
		return err
	}
	key, err := server.KeyPEM()
	if err != nil {
		return err
	}
	// The key comes last: its presence means that all three are complete.
	for _, f := range []struct {
		file string
		pem  []byte
	}{{l.ca(), ca.CertPEM()}, {l.cert(), server.CertPEM()}, {l.key(), key}} {
		if err := writeSecret(f.file, f.pem); err != nil {
			return err
		}
	}
	if err := os.Chmod(l.ca(), 0o644); err != nil {
		return fmt.Errorf("open ca.pem to readers: %w", err)
	}
	return nil
}

// makeClusterSecrets writes what the servers know each other by: the key of their
// gossip, an authority for nothing else, and a certificate of it for each.
func makeClusterSecrets(l layout, servers int) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw the servers' key: %w", err)
	}
	if err := writeSecret(l.clusterKey(), []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return err
	}
	ca, err := certs.New(certs.Options{
		Name: "RosterDB development servers", Organization: certOrganization, Authority: true, Lifetime: certLifetime,
	}, nil)
	if err != nil {
		return err
	}
	if err := writeSecret(l.clusterCA(), ca.CertPEM()); err != nil {
		return err
	}
	for i := range servers {
		id := serverID(i)
		own, err := certs.New(certs.Options{
			Name: id, Organization: certOrganization, Hosts: []string{id}, Client: true, Lifetime: certLifetime,
		}, ca)
		if err != nil {
			return err
		}
		key, err := own.KeyPEM()
		if err != nil {
			return err
		}
		if err := errors.Join(writeSecret(l.ownCert(id), own.CertPEM()), writeSecret(l.ownKey(id), key)); err != nil {
			return err
		}
	}
	return nil
}
