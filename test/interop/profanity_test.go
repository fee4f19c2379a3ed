package interop

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// profanity starts the client with an account, as its user's files would have it. It trusts the authority as it
// would trust one of the system.
func profanity(t *testing.T, s *Server, user, resource string) *terminal {
	t.Helper()
	home := t.TempDir()
	host, port, err := net.SplitHostPort(s.Addr(t, "clients"))
	if err != nil {
		t.Fatal(err)
	}
	jid := user + "@" + harness.Domain
	account := fmt.Sprintf("[%s]\nenabled=true\njid=%s\nserver=%s\nport=%s\ntls.policy=force\npassword=%s\nresource=%s\n", jid, jid, host, port, harness.Password, resource)
	settings := "[ui]\nsplash=false\nenc.warn=false\n[notifications]\nmessage=false\n[carbons]\nenabled=true\n[logging]\nchlog=false\n"
	for file, text := range map[string]string{
		".local/share/profanity/accounts": account,
		".config/profanity/profrc":        settings,
	} {
		file = filepath.Join(home, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return startTerminal(t, "profanity of "+user, "profanity -a "+jid, "HOME="+home, "SSL_CERT_FILE="+s.CA, "LANG=C.UTF-8",
		"XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_DATA_HOME="+filepath.Join(home, ".local/share"))
}

// TestProfanity: two people subscribe to one another and chat.
func TestProfanity(t *testing.T) {
	NeedPrograms(t, [2]string{"tmux", "tmux"}, [2]string{"profanity", "profanity"})
	s := Start(t, binary, "listen_http = \"127.0.0.1:0\"\n", "alice", "bob")
	alice, bob := profanity(t, s, "alice", "desk"), profanity(t, s, "bob", "desk")
	alice.shows("alice@"+harness.Domain, "logged in successfully")
	bob.shows("bob@"+harness.Domain, "logged in successfully")
	alice.enter("/sub request bob@" + harness.Domain)
	bob.shows("authorization request", "alice@"+harness.Domain)
	bob.enter("/sub allow alice@" + harness.Domain)
	bob.enter("/sub request alice@" + harness.Domain)
	alice.shows("authorization request", "bob@"+harness.Domain)
	alice.enter("/sub allow bob@" + harness.Domain)
	alice.shows("bob@"+harness.Domain, "is online")
	bob.shows("alice@"+harness.Domain, "is online")

	phone := profanity(t, s, "alice", "phone")
	phone.shows("alice@"+harness.Domain, "logged in successfully")
	// The answer comes behind that to its request for carbons. It pings once it knows the server's features.
	harness.Eventually(t, patience, "the phone pings", func() bool {
		phone.enter("/ping")
		return phone.count("Ping response from server") > 0
	})
	alice.enter("/msg bob@" + harness.Domain + " good morning")
	bob.shows("chat message", "alice@"+harness.Domain)
	bob.enter("/win 2")
	bob.shows("good morning")
	bob.enter("morning yourself")
	alice.shows("morning yourself")
	phone.enter("/win 2")
	phone.shows("good morning") // sent by the other client
	phone.shows("morning yourself")
	bob.enter("/status set away \"having tea\"")
	alice.shows("bob@"+harness.Domain, "[away]") // the title of the window
	bob.enter("/quit")
	alice.shows("bob@"+harness.Domain, "[offline]")
	if want := `xmppd_authentications_total{mechanism="SCRAM-SHA-256"} 3`; !strings.Contains(metrics(t, s), want) {
		t.Errorf("the metrics lack %s:\n%s", want, metrics(t, s))
	}
}

// metrics is what the server tells Prometheus.
func metrics(t *testing.T, s *Server) string {
	t.Helper()
	r, err := http.Get("http://" + s.Addr(t, "http") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // all of it was read
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestProfanityAsksAboutCertificates: it would not have gone on above if it had not known the authority.
func TestProfanityAsksAboutCertificates(t *testing.T) {
	NeedPrograms(t, [2]string{"tmux", "tmux"}, [2]string{"profanity", "profanity"})
	s := Start(t, binary, "", "alice")
	s.CA = "/dev/null"
	profanity(t, s, "alice", "desk").shows("TLS certificate verification failed: unable to get local issuer certificate")
}
