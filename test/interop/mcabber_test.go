package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// mcabber starts the client with the configuration file of a user.
func mcabber(t *testing.T, s *Server, user string) *terminal {
	t.Helper()
	home := t.TempDir()
	host, port, err := net.SplitHostPort(s.Addr(t, "clients"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, "mcabberrc")
	text := fmt.Sprintf("set jid = %s@%s\nset password = %s\nset server = %s\nset port = %s\nset tls = 1\nset ssl_ca = %s\nset resource = mcabber\nset log_display_presence = 1\n",
		user, harness.Domain, harness.Password, host, port, s.CA)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startTerminal(t, "mcabber of "+user, "mcabber -f "+file, "HOME="+home, "LANG=C.UTF-8")
}

// TestMcabber: two people subscribe to one another and chat.
func TestMcabber(t *testing.T) {
	NeedPrograms(t, [2]string{"tmux", "tmux"}, [2]string{"mcabber", "mcabber"})
	s := Start(t, binary, "", "alice", "bob")
	alice, bob := mcabber(t, s, "alice"), mcabber(t, s, "bob")
	alice.shows("Your status has been set", "[_>o]")
	bob.shows("Your status has been set", "[_>o]")
	alice.enter("/add bob@" + harness.Domain)
	bob.shows("alice@"+harness.Domain, "wants to subscribe")
	bob.enter("/event * accept")
	bob.enter("/add alice@" + harness.Domain)
	alice.shows("bob@"+harness.Domain, "wants to subscribe")
	alice.enter("/event * accept")
	alice.shows("[o] bob@" + harness.Domain)
	bob.shows("[o] alice@" + harness.Domain)

	alice.enter("/say_to bob@" + harness.Domain + " good morning")
	bob.enter("/roster search alice@" + harness.Domain)
	bob.press("Enter") // opens the chat
	bob.shows("good morning")
	bob.enter("morning yourself")
	alice.enter("/roster search bob@" + harness.Domain)
	alice.press("Enter") // opens the chat
	alice.shows("morning yourself")
	bob.enter("/status away having tea")
	alice.shows("[a] bob@" + harness.Domain)
	bob.enter("/quit")
	alice.shows("[_] bob@" + harness.Domain)
}

// TestMcabberChecksCertificates: with the certificate of another authority it does not log in.
func TestMcabberChecksCertificates(t *testing.T) {
	NeedPrograms(t, [2]string{"tmux", "tmux"}, [2]string{"mcabber", "mcabber"})
	s := Start(t, binary, "", "alice")
	s.CA, _ = s.ClientCertificate(t, "alice@"+harness.Domain) // which has signed nothing
	mcabber(t, s, "alice").shows("Certificate is not trusted!")
}
