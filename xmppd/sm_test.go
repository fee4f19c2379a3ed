package xmppd_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const nsSM = "urn:xmpp:sm:3"

// smClient is a client with stream management: it counts what it gets.
type smClient struct {
	*client
	id string
}

// enable switches stream management on, with resumption.
func enable(c *client, attrs string) *smClient {
	c.T.Helper()
	c.Send("<enable xmlns='" + nsSM + "' resume='true' " + attrs + "/>")
	got := c.Want("<enabled xmlns='"+nsSM+"' resume='true'", "<failed")
	got += c.Want("/>")
	m := regexp.MustCompile(` id='([^']{20,})'`).FindStringSubmatch(got)
	if m == nil {
		c.T.Fatalf("enabled: %q", got)
	}
	return &smClient{c, m[1]}
}

// authenticated is a client that has logged in and bound nothing.
func authenticated(t *testing.T, s *xmppd.Server, user string) *client {
	t.Helper()
	addr, _, _ := s.Addrs()
	c, features := xmppraw.Authenticate(t, addr, user)
	if !strings.Contains(features, "<sm xmlns='"+nsSM+"'/>") {
		t.Errorf("features: %s", features)
	}
	return &client{c}
}

func (c *client) resume(id string, h int) string {
	c.T.Helper()
	c.Send(fmt.Sprintf("<resume xmlns='%s' h='%d' previd='%s'/>", nsSM, h, id))
	got := c.Want("<resumed ", "</failed>", "</stream:stream>")
	if strings.HasSuffix(got, "<resumed ") {
		got += c.Want("/>")
	}
	return got
}

// bodies are the texts of the messages in what was received.
func bodies(got string) (out []string) {
	for _, m := range regexp.MustCompile(`<body>([^<]*)</body>`).FindAllStringSubmatch(got, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestStreamManagementAcks: both sides count stanzas and nothing else (XEP-0198 section 4).
func TestStreamManagementAcks(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := enable(login(t, s, "alice", "a"), ""), online(t, s, "bob", "b")
	ack := func(want int) {
		t.Helper()
		alice.Send("<r xmlns='" + nsSM + "'/>")
		if got := alice.Want("<a xmlns='"+nsSM+"' h='") + alice.Want("'/>"); !strings.HasSuffix(got, fmt.Sprintf(" h='%d'/>", want)) {
			t.Errorf("acknowledged %q, want %d", got, want)
		}
	}
	ack(0)
	alice.Send("<presence/>" + xmppraw.Message("bob@"+domain+"/b", "1") + " \n " + xmppraw.Message("nobody@"+domain, "2"))
	ack(3)
	alice.Sync()
	ack(4)
	for i := range 25 {
		bob.Send(xmppraw.Message("alice@"+domain+"/a", fmt.Sprint(i)))
	}
	alice.Want("<body>24</body></message>", "<r xmlns='"+nsSM+"'/>")
	alice.Send("<a xmlns='" + nsSM + "' h='3'/><a xmlns='" + nsSM + "' h='2'/>")
	alice.Sync()
	alice.Send("<a xmlns='" + nsSM + "' h='1000'/>")
	got := alice.Rest()
	for _, want := range []string{"<undefined-condition ", "<handled-count-too-high xmlns='" + nsSM + "' h='1000' send-count='", "</stream:stream>"} {
		if !strings.Contains(got, want) {
			t.Errorf("acknowledging too much: %q, want %s", got, want)
		}
	}
}

// TestStreamManagementRefusals: what is asked for at the wrong time or in a wrong way (XEP-0198 sections 3,
// 5 and 7).
func TestStreamManagementRefusals(t *testing.T) {
	s := startServer(t, options{})
	unbound := authenticated(t, s, "alice")
	refused := func(c *client, send, condition string) {
		t.Helper()
		c.Send(send)
		if got := c.Want("</failed>"); !strings.Contains(got, "<failed xmlns='"+nsSM+"'><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>") {
			t.Errorf("%s: %q, want %s", send, got, condition)
		}
	}
	refused(unbound, "<enable xmlns='"+nsSM+"'/>", "unexpected-request")
	refused(unbound, "<resume xmlns='"+nsSM+"' previd='x'/>", "bad-request")
	unbound.Bind("a")
	refused(unbound, "<r xmlns='"+nsSM+"'/>", "unexpected-request")
	refused(unbound, "<resume xmlns='"+nsSM+"' h='0' previd='x'/>", "unexpected-request")
	unbound.Send("<enable xmlns='" + nsSM + "'/>")
	if got := unbound.Want("/>"); !strings.HasSuffix(got, "<enabled xmlns='"+nsSM+"'/>") {
		t.Errorf("enabled without resumption: %q", got)
	}
	refused(unbound, "<enable xmlns='"+nsSM+"'/>", "unexpected-request")
	unbound.Send("<a xmlns='" + nsSM + "' h='x'/>")
	if got := unbound.Rest(); !strings.Contains(got, "<bad-format ") {
		t.Errorf("no number: %q", got)
	}
}

// TestResumption: the connection is lost, stanzas come meanwhile, and the client gets on a new
// connection what it has not handled, once and in order. Nobody sees it leave.
func TestResumption(t *testing.T) {
	for name, entrance := range entrances() {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, options{})
			bob := enable(entrance(t, s, "bob", "b"), "max='77'")
			bob.Send("<presence/>")
			bob.Sync()
			alice := online(t, s, "alice", "a")
			send := func(i int) { alice.Send(xmppraw.Message("bob@"+domain+"/b", fmt.Sprint(i))) }
			for i := range 3 {
				send(i)
			}
			bob.Want("<body>2</body></message>")
			_ = bob.Conn.Close()
			for i := 3; i < 6; i++ {
				send(i)
			}
			if got := alice.Sync(); strings.Contains(got, "error") {
				t.Errorf("the sender got %s", got)
			}
			// Of presence (its own), the answer to sync and three messages, two messages get lost.
			back := authenticated(t, s, "bob")
			got := back.resume(bob.id, 3)
			if !strings.Contains(got, "h='2'") || !strings.Contains(got, "previd='"+bob.id+"'") {
				t.Errorf("resumed: %s", got)
			}
			send(6)
			if got := bodies(back.Want("<body>6</body></message>")); strings.Join(got, "") != "123456" {
				t.Errorf("after the resumption: %q", got)
			}
			back.Send(xmppraw.Message("alice@"+domain+"/a", "here again"))
			if got := alice.Want("<body>here again</body>"); !strings.Contains(got, "from='bob@"+domain+"/b'") || strings.Contains(got, "unavailable") {
				t.Errorf("from the resumed session: %s", got)
			}
			// Acknowledged, they never come back.
			back.Send("<a xmlns='" + nsSM + "' h='9'/>")
			back.Sync()
			_ = back.Conn.Close()
			again := authenticated(t, s, "bob")
			again.resume(bob.id, 10)
			send(7)
			if got := bodies(again.Want("<body>7</body></message>")); strings.Join(got, "") != "7" {
				t.Errorf("after all was acknowledged: %q", got)
			}
		})
	}
}

// TestResumptionTakesOver: a session whose old connection still lives goes to the new one, and the
// old one gets nothing more.
func TestResumptionTakesOver(t *testing.T) {
	s := startServer(t, options{})
	bob := enable(login(t, s, "bob", "b"), "")
	alice := online(t, s, "alice", "a")
	alice.Send(xmppraw.Message("bob@"+domain+"/b", "1"))
	bob.Want("<body>1</body></message>")
	back := authenticated(t, s, "bob")
	if got := back.resume(bob.id, 1); !strings.Contains(got, "<resumed ") {
		t.Fatal(got)
	}
	alice.Send(xmppraw.Message("bob@"+domain+"/b", "2"))
	if got := bodies(back.Want("<body>2</body></message>")); strings.Join(got, "") != "2" {
		t.Errorf("new connection: %q", got)
	}
	if got := bob.Rest(); !strings.Contains(got, "<conflict ") || !strings.HasSuffix(got, "</stream:stream>") || strings.Contains(got, "<body>") {
		t.Errorf("old connection: %q", got)
	}
	alice.Sync()
}

// TestResumptionRefused: a session is resumed by its own account, by its name, and while it is there;
// otherwise the client may bind.
func TestResumptionRefused(t *testing.T) {
	s := startServer(t, options{})
	bob := enable(login(t, s, "bob", "b"), "")
	bob.Send("<presence/>")
	bob.Sync()
	alice := authenticated(t, s, "alice")
	for _, id := range []string{bob.id, "x", bob.id[1:]} {
		got := alice.resume(id, 0)
		if !strings.Contains(got, "<item-not-found ") || strings.Contains(got, " h=") {
			t.Errorf("resumption by somebody else: %s", got)
		}
		if id == "x" {
			break
		}
	}
	alice.Bind("a")
	alice.Sync()
	bob.Sync()
	bob.Send("</stream:stream>")
	if got := bob.Rest(); !strings.Contains(got, "<a xmlns='"+nsSM+"' h='3'/></stream:stream>") {
		t.Errorf("at the end: %q", got)
	}
	back := authenticated(t, s, "bob")
	if got := back.resume(bob.id, 0); !strings.Contains(got, "<failed xmlns='"+nsSM+"' h='3'><item-not-found ") {
		t.Errorf("resumption after a proper end: %s", got)
	}
	back.Bind("b")
	back.Sync()
	over := enable(back, "")
	_ = over.Conn.Close()
	back = authenticated(t, s, "bob")
	if got := back.resume(over.id, 99); !strings.Contains(got, "<handled-count-too-high ") {
		t.Errorf("resumption with too much handled: %s", got)
	}
}

// TestUnresumedGoBack: a session that nobody resumes ends after its time; what it has not
// acknowledged goes to another session, or back, once.
func TestUnresumedGoBack(t *testing.T) {
	s := startServer(t, withoutOffline(options{}))
	bob := enable(login(t, s, "bob", "b"), "max='1'")
	bob.Send("<presence/>")
	bob.Sync()
	alice := online(t, s, "alice", "a")
	alice.Send(xmppraw.Message("bob@"+domain+"/b", "0") + xmppraw.Message("bob@"+domain+"/b", "1"))
	bob.Want("<body>1</body></message>")
	bob.Send("<a xmlns='" + nsSM + "' h='3'/>") // presence, sync, "0"
	bob.Sync()
	other := online(t, s, "bob", "other")
	_ = bob.Conn.Close()
	alice.Send(xmppraw.Message("bob@"+domain+"/b", "2"))
	if got := other.Want("type='unavailable'"); !strings.Contains(got, "from='bob@"+domain+"/b'") {
		t.Errorf("at the end of the session: %s", got)
	}
	if got := bodies(other.Want("<body>2</body></message>")); strings.Join(got, "") != "12" {
		t.Errorf("the other session got %q", got)
	}
	other.Send("</stream:stream>")
	other.Rest()

	last := enable(login(t, s, "bob", "last"), "max='1'")
	alice.Send("<message type='normal' id='n' to='bob@" + domain + "/last'><body>n</body></message>")
	last.Want("<body>n</body></message>")
	_ = last.Conn.Close()
	if got := alice.Want("</message>"); !strings.Contains(got, "id='n'") || !strings.Contains(got, "<service-unavailable ") {
		t.Errorf("the sender got %s", got)
	}
	if got := alice.Sync(); strings.Contains(got, "id='n'") {
		t.Errorf("the sender got it twice: %s", got)
	}
}

// TestDetachedPerAccount: sessions that wait for their clients are bounded; the oldest ends.
func TestDetachedPerAccount(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.SM.DetachedPerAccount = 2 }})
	dn1 := online(t, s, "dn1", "store")
	for i := range 3 {
		c := enable(login(t, s, "dn2", fmt.Sprint(i)), "")
		c.Send("<presence/>")
		c.Sync()
		_ = c.Conn.Close()
	}
	if got := dn1.Want("type='unavailable'"); !strings.Contains(got, "from='dn2@"+domain+"/0'") && !strings.Contains(got, "from='dn2@"+domain+"/1'") && !strings.Contains(got, "from='dn2@"+domain+"/2'") {
		t.Errorf("ended: %s", got)
	}
	dn1.Sync()
}

// TestShutdownKeepsUnacked: a server that ends brings what its sessions have not acknowledged to
// safety, of sessions with a connection and of those that wait for their clients; what was
// acknowledged does not come back.
func TestShutdownKeepsUnacked(t *testing.T) {
	dir := t.TempDir()
	o := options{cfg: func(c *xmppd.Config) { c.Data = dir }}
	s := startServer(t, o)
	alice := online(t, s, "alice", "a")
	for _, user := range []string{"bob", "carol"} {
		c := enable(login(t, s, user, "r"), "")
		c.Send("<presence/>")
		c.Sync()
		for i := range 3 {
			alice.Send(xmppraw.Message(user+"@"+domain+"/r", fmt.Sprint(i)))
		}
		c.Want("<body>2</body></message>")
		c.Send("<a xmlns='" + nsSM + "' h='3'/>") // presence, the answer to sync, "0"
		c.Sync()
		if user == "bob" {
			_ = c.Conn.Close()
		}
		alice.Send(xmppraw.Message(user+"@"+domain+"/r", "3"))
		if got := alice.Sync(); strings.Contains(got, "error") {
			t.Errorf("the sender got %s", got)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = serve(t, o)
	for _, user := range []string{"bob", "carol"} {
		c := login(t, s, user, "r")
		c.Send("<presence/>")
		if got := bodies(c.Want("<body>3</body>")); strings.Join(got, "") != "123" {
			t.Errorf("%s got %q after the restart", user, got)
		}
		if got := c.Sync(); strings.Contains(got, "<body>") {
			t.Errorf("%s got more: %s", user, got)
		}
	}
}

// TestShutdownKeepsBeyondLimits: when a server ends, what a client has not acknowledged is kept even if
// that is more than the account may have otherwise: the senders can't be told any more.
func TestShutdownKeepsBeyondLimits(t *testing.T) {
	dir := t.TempDir()
	o := options{cfg: func(c *xmppd.Config) { c.Data, c.Modules.Offline.Messages = dir, 10 }}
	s := startServer(t, o)
	alice := online(t, s, "alice", "a")
	bob := enable(login(t, s, "bob", "b"), "")
	bob.Send("<presence/>")
	bob.Sync()
	const sent = 70
	for i := range sent {
		alice.Send(xmppraw.Message(bob.JID, fmt.Sprint(i)))
	}
	if got := alice.Sync(); strings.Contains(got, "error") {
		t.Fatalf("the sender got %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = serve(t, o)
	back := login(t, s, "bob", "b")
	back.Send("<presence/>")
	got := bodies(back.Want(fmt.Sprintf("<body>%d</body>", sent-1)))
	if len(got) != sent || got[0] != "0" {
		t.Errorf("%d messages of %d are kept: %q", len(got), sent, got)
	}
}

// TestBindAfterLoss: a client that has forgotten its session binds its resource again, whatever the policy
// of conflicts: nobody is there to be protected.
func TestBindAfterLoss(t *testing.T) {
	for _, policy := range []string{"replace", "refuse", "rename"} {
		s := startServer(t, options{cfg: func(c *xmppd.Config) { c.ResourceConflict, c.ListenHTTP = policy, "127.0.0.1:0" }})
		alice := online(t, s, "alice", "a")
		bob := enable(login(t, s, "bob", "b"), "")
		alice.Send(xmppraw.Message("bob@"+domain+"/b", "1"))
		bob.Want("<body>1</body>")
		_ = bob.Conn.Close()
		waitFor(t, func() bool { return strings.Contains(metrics(t, s), "xmppd_sm_detached_sessions 1\n") })
		again := login(t, s, "bob", "b")
		if again.JID != "bob@"+domain+"/b" {
			t.Errorf("%s: bound %q", policy, again.JID)
		}
		again.Send("<presence/>")
		again.Want("<body>1</body>")
	}
}
