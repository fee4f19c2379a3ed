// Package interop drives clients that nobody here wrote against an xmppd process: slixmpp, go-sendxmpp,
// profanity, mcabber, and in the folder web those that run in browsers.
//
//	make interop
//
// A client that is not installed is skipped, and the notice names the package. With INTEROP_REQUIRED=1, as
// continuous integration sets it, it is an error.
package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/test/harness"
)

// Need skips the test, or fails it where clients are required, unless what it needs is there. install is the
// command that gets it.
func Need(t testing.TB, have bool, what, install string) {
	t.Helper()
	switch {
	case have:
	case os.Getenv("INTEROP_REQUIRED") == "1":
		t.Fatalf("%s is not installed, and INTEROP_REQUIRED=1 asks for it: %s", what, install)
	default:
		t.Skipf("%s is not installed: %s", what, install)
	}
}

// NeedPrograms is Need for programs of Debian packages, given as pairs of program and package.
func NeedPrograms(t testing.TB, pairs ...[2]string) {
	t.Helper()
	for _, p := range pairs {
		_, err := exec.LookPath(p[0])
		Need(t, err == nil, p[0], "apt-get install "+p[1])
	}
}

// Server is an xmppd process whose certificate an authority of the test has signed: for harness.Domain,
// "localhost" and 127.0.0.1. Logins need TLS.
type Server struct {
	*harness.XMPPD
	CA        string // the authority's certificate, a PEM file
	dir       string // for certificates
	authority *certs.Pair
}

// Start starts a server with accounts for the users; their password is harness.Password. config is TOML of
// whole tables and of keys at the top, these first. Unless it has a
// table [auth], client certificates of the authority are taken.
func Start(t testing.TB, binary, config string, users ...string) *Server {
	t.Helper()
	s := &Server{dir: t.TempDir()}
	var err error
	if s.authority, err = certs.New(certs.Options{Name: "Authority of a test", Authority: true, Lifetime: time.Hour}, nil); err != nil {
		t.Fatal(err)
	}
	s.CA = filepath.Join(s.dir, "ca.crt")
	if err := os.WriteFile(s.CA, s.authority.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	chain, key := s.issue(t, certs.Options{Name: harness.Domain, Hosts: []string{harness.Domain, "localhost", "127.0.0.1"}})
	text := fmt.Sprintf("insecure_plaintext = false\ntls_cert = %q\ntls_key = %q\n%s\n", chain, key, config)
	if !strings.Contains(config, "[auth]") {
		text += fmt.Sprintf("[auth]\nclient_ca = %q\n", s.CA)
	}
	s.XMPPD = harness.StartXMPPD(t, binary, text, users...)
	return s
}

// ClientCertificate makes a certificate with an XMPP address, and returns the files of it and of its key.
func (s *Server) ClientCertificate(t testing.TB, address string) (cert, key string) {
	t.Helper()
	return s.issue(t, certs.Options{Name: address, Client: true, Addresses: []string{address}})
}

func (s *Server) issue(t testing.TB, o certs.Options) (cert, key string) {
	t.Helper()
	o.Lifetime = time.Hour
	pair, err := certs.New(o, s.authority)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := pair.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(s.dir, o.Name+".crt"), filepath.Join(s.dir, o.Name+".key")
	for file, b := range map[string][]byte{cert: pair.CertPEM(), key: pem} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
