package mission

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// wants checks that texts come in the order given.
func wants(c *harness.Stream, texts ...string) {
	for _, s := range texts {
		c.Want(s)
	}
}

// administer runs a command of `ringctl xmppd` on the data directory of a server.
func administer(t *testing.T, data string, args ...string) string {
	t.Helper()
	out, err := exec.Command(binary, append([]string{"xmppd"}, args...)...).CombinedOutput() //nolint:gosec // our own binary
	if err != nil {
		t.Fatalf("%v on %s: %v: %s", args, data, err, out)
	}
	return string(out)
}

// checkRosters: two users become contacts, approved before the request, with versions, pushes and
// probes; then a portal changes a roster and a group, and the clients see it at once.
func checkRosters(t *testing.T) {
	data, err := os.MkdirTemp("", "xmppd") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	s := harness.StartXMPPDIn(t, binary, data, "", "alice", "bob", "carol")
	const alice, bob, carol = "alice@" + harness.Domain, "bob@" + harness.Domain, "carol@" + harness.Domain
	const get, push = "<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver=''/></iq><presence><status>here</status></presence>", "<iq type='set' id='push"
	a, b := s.Login(t, "alice", "desk"), s.Login(t, "bob", "desk")
	for _, c := range []*harness.Stream{a, b} {
		c.Send(get)
		wants(c, "type='result'", "<query xmlns='jabber:iq:roster' ver='", "here")
		c.Sync()
	}

	// alice approves what bob will ask (RFC 6121 section 3.4).
	a.Send("<presence type='subscribed' to='" + bob + "'/>")
	wants(a, push, "<item jid='"+bob+"' subscription='none' approved='true'/>")
	b.Send("<presence type='subscribe' to='" + alice + "'/>")
	wants(b, "type='subscribed'", "<item jid='"+alice+"' subscription='to'/>", "from='"+a.JID+"'", "<status>here</status>")
	wants(a, push, "subscription='from'")
	// The other direction is asked and answered.
	a.Send("<presence type='subscribe' to='" + bob + "'/>")
	b.Want("type='subscribe'")
	b.Send("<presence type='subscribed' to='" + alice + "'/>")
	wants(a, "type='subscribed'", push, "ver='", "<item jid='"+bob+"' subscription='both'", "from='"+b.JID+"'")
	b.Send("<presence type='probe' to='" + alice + "'/>")
	wants(b, "from='"+a.JID+"'", "<status>here</status>")

	// A new session that knows the version is sent nothing, and nothing but what it has missed.
	x := s.Login(t, "alice", "phone")
	x.Send("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver=''/></iq>")
	x.Want("ver='")
	ver := strings.TrimSuffix(x.Want("'"), "'")
	x.Want("</iq>")
	x.Send("<iq type='get' id='w'><query xmlns='jabber:iq:roster' ver='" + ver + "'/></iq>")
	if got := x.Sync(); !strings.Contains(got, "<iq type='result' id='w'/>") || strings.Contains(got, "<item") {
		t.Errorf("with the present version: %q", got)
	}
	a.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='" + bob + "' name='Bob'/></query></iq>")
	a.Want("id='s'")
	x.Want("name='Bob'")
	x.Send("<iq type='get' id='z'><query xmlns='jabber:iq:roster' ver='" + ver + "'/></iq>")
	wants(x, "<iq type='result' id='z'/>", push, "<item jid='"+bob+"' name='Bob' subscription='both'")

	// A change in the portal reaches the clients.
	administer(t, data, "roster", "set", "--data", data, "--name", "Carol", "--group", "Portal", "alice", carol)
	wants(a, push, "<item jid='"+carol+"' name='Carol' subscription='both'><group>Portal</group></item>")
	if got := administer(t, data, "roster", "list", "--data", data, "carol"); !strings.Contains(got, alice) {
		t.Errorf("the roster of the portal's contact: %q", got)
	}
	administer(t, data, "roster", "remove", "--data", data, "alice", carol)
	wants(a, push, "<item jid='"+carol+"' subscription='remove'/>")

	// Shared groups: members see one another without asking.
	administer(t, data, "user", "group", "--data", data, "alice", "Staff")
	administer(t, data, "user", "group", "--data", data, "carol", "Staff")
	wants(a, push, "<item jid='"+carol+"' name='carol' subscription='both'><group>Staff</group></item>")
	c := s.Login(t, "carol", "desk")
	c.Send("<presence/>")
	wants(c, "from='"+a.JID+"'", "<status>here</status>")
	wants(a, "from='"+c.JID+"'")
}
