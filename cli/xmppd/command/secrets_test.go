package command_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClusterSecrets: certificates are of the authority and in the names of their servers, what was there stays, and
// secrets are their owner's alone.
func TestClusterSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	out, err := xmppd(t.Context(), "", "cluster", "secrets", "--dir", dir, "x1", "x2")
	if err != nil || strings.Count(out, "\n") != 7 {
		t.Fatalf("%v\n%s", err, out)
	}
	before := make(map[string]string)
	for _, name := range []string{"cluster.key", "ca.pem", "ca.key", "x1.pem", "x1.key", "x2.pem", "x2.key"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = string(b)
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || strings.HasSuffix(name, ".key") && st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	if out, err := xmppd(t.Context(), "", "cluster", "secrets", "--dir", dir, "x1", "x3"); err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(out, "x3.pem") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := xmppd(t.Context(), "", "cluster", "secrets", "--dir", dir, "x1"); err != nil || !strings.Contains(out, "were kept") {
		t.Errorf("with all there: %v\n%s", err, out)
	}
	for name, text := range before {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
			t.Errorf("%s has changed (%v)", name, err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(before["ca.pem"]))
	for _, name := range []string{"x1", "x3"} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Error(err)
		}
		if pair.Leaf.VerifyHostname("x2") == nil {
			t.Errorf("that of %s is good for x2, too", name)
		}
	}
	for _, names := range [][]string{nil, {"A b"}, {"ca"}, {"cluster"}} {
		if _, err := xmppd(t.Context(), "", append([]string{"cluster", "secrets", "--dir", dir}, names...)...); err == nil {
			t.Errorf("%q are taken", names)
		}
	}
}
