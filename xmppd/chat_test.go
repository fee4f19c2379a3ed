package xmppd_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// TestAddressesArePrepared (RFC 7622): a message written in capitals arrives.
func TestAddressesArePrepared(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "Low")
	alice.Send("<message to='BOB@" + strings.ToUpper(domain) + "/Low'><body>hi</body></message>")
	bob.Want("<body>hi</body>")
	alice.Send("<message to='bob@" + domain + "/low' id='x'><body>hi</body></message>")
	alice.Want("<service-unavailable ")
}

func TestFromIsStamped(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	for _, from := range []string{"", " from='alice@" + domain + "'", ` from="alice@` + domain + `/a"`, " from='ALICE@" + domain + "/a'"} {
		for _, attrs := range []string{from + " to='bob@" + domain + "/b' id='x'", " to='bob@" + domain + "/b'" + from + " id='x'", " to='bob@" + domain + "' id='x'" + from} {
			alice.Send("<message" + attrs + "><body>hi</body></message>")
			if got := bob.Want("</message>"); strings.Count(got, "from=") != 1 || !strings.Contains(got, " from='alice@"+domain+"/a'") {
				t.Errorf("%s arrived as %s", attrs, got)
			}
		}
	}
}

func TestIQ(t *testing.T) {
	s := startServer(t, options{})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	tests := []struct{ send, want string }{
		{"<iq type='get' id='1' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'"},
		{"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'"},
		{"<iq type='get' id='1' to='" + domain + "'><query xmlns='jabber:iq:version'/></iq>", "<name>RosterDB xmppd</name>"},
		{"<iq type='get' id='1' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "<feature var='urn:xmpp:ping'/>"},
		{"<iq type='get' id='1' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>", "<query xmlns='http://jabber.org/protocol/disco#items'/>"},
		{"<iq type='get' id='1' to='" + domain + "'><query xmlns='no:such:thing'/></iq>", "<service-unavailable "},
		{"<iq type='set' id='1'><query xmlns='no:such:thing'/></iq>", "<service-unavailable "},
		{"<iq type='get' id='1' to='bob@" + domain + "'><query xmlns='jabber:iq:roster'/></iq>", "<forbidden "},
		{"<iq type='get' id='1' to='bob@" + domain + "/gone'><ping xmlns='urn:xmpp:ping'/></iq>", "<service-unavailable "},
		{"<iq type='get' id='1' to='nobody@" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>", "<service-unavailable "},
		{"<iq type='get' id='1'/>", "<bad-request "},
		{"<iq type='what' id='1'><a/></iq>", "<bad-request "},
		{"<iq id='1'><a/></iq>", "<bad-request "},
		{"<iq type='get' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>", "<bad-request "},
	}
	for _, tt := range tests {
		alice.Send(tt.send)
		if got := alice.Want("</iq>", "/>\n", "type='result' id='1' from='"+domain+"'/>", "type='result' id='1'/>"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", tt.send, got)
		}
	}
	alice.Send("<iq type='get' id='q7' to='bob@" + domain + "/b'><own xmlns='x'/></iq>")
	if got := bob.Want("</iq>"); !strings.Contains(got, "from='alice@"+domain+"/a'") {
		t.Errorf("request arrived as %s", got)
	}
	bob.Send("<iq type='result' id='q7' to='alice@" + domain + "/a'/>")
	if got := alice.Want("/>"); !strings.Contains(got, "from='bob@"+domain+"/b'") || !strings.Contains(got, "q7") {
		t.Errorf("result arrived as %s", got)
	}
}

// vanish sends more to a client that doesn't read than the server will keep, and returns how many
// messages were sent, came back as errors, and were read in the end.
func vanish(t *testing.T, f router.Faults, enter func(*testing.T, *xmppd.Server, string, string) *client) (sent, bounced, read int) {
	s := startServer(t, withoutOffline(options{router: f, cfg: func(c *xmppd.Config) { c.Limits.QueueBytes = 64 << 10 }}))
	alice := login(t, s, "alice", "a")
	bob := enter(t, s, "bob", "b")
	witness := login(t, s, "carol", "c")
	body := strings.Repeat("x", 10_000)
	for end := time.Now().Add(patience); bounced == 0 && time.Now().Before(end) && (!f.DropUndelivered || sent < 3000); {
		for range 20 {
			alice.Send(xmppraw.Message(bob.JID, body))
			sent++
		}
		bounced += strings.Count(alice.Sync(), "type='error'")
		// Others don't wait for bob.
		witness.Send(xmppraw.Message("carol@"+domain+"/c", "alive"))
		witness.Want("alive")
	}
	// bob wakes up, too late.
	bob.MayCut = true
	got := bob.Rest()
	read = strings.Count(got, "</message>")
	bounced += strings.Count(alice.Sync(), "type='error'")
	for end := time.Now().Add(patience / 2); sent != bounced+read && !f.DropUndelivered && time.Now().Before(end); {
		bounced += strings.Count(alice.Sync(), "type='error'")
	}
	return sent, bounced, read
}

// TestSlowReceiver: of the messages to a client that doesn't read, each is delivered or comes
// back.
func TestSlowReceiver(t *testing.T) {
	sent, bounced, read := vanish(t, router.Faults{}, login)
	if bounced == 0 || sent != bounced+read {
		t.Errorf("%d messages sent, %d came back, %d were read", sent, bounced, read)
	}
	if sent, bounced, read := vanish(t, router.Faults{DropUndelivered: true}, login); sent == bounced+read {
		t.Error("the planted bug was not noticed")
	}
	// Through TLS a message can be read in part and come back, too: none may vanish.
	if sent, bounced, read := vanish(t, router.Faults{}, loginTLS); bounced == 0 || sent > bounced+read || bounced+read > sent+20 {
		t.Errorf("TLS: %d messages sent, %d came back, %d were read", sent, bounced, read)
	}
}

// TestClusterAccountsMayLagFurther: what many write to a data node at once does not cost it its
// stream, where it would cost any other client its own.
func TestClusterAccountsMayLagFurther(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.QueueBytes = 64 << 10 }})
	alice := login(t, s, "alice", "a")
	dn1 := login(t, s, "dn1", "store")
	body := strings.Repeat("x", 10_000)
	const count = 1000 // 10 MB: more than sockets hold
	for range count / 20 {
		for range 20 {
			alice.Send(xmppraw.Message(dn1.JID, body))
		}
		if back := alice.Sync(); strings.Contains(back, "type='error'") {
			t.Fatalf("a message came back: %.300s", back[strings.Index(back, "type='error'"):])
		}
	}
	alice.Send(xmppraw.Message(dn1.JID, "the last"))
	if got := dn1.Want("the last"); strings.Count(got, "</message>") < count {
		t.Errorf("%d messages arrived before the last, want %d", strings.Count(got, "</message>"), count)
	}
}

func TestAccountsWhileRunning(t *testing.T) {
	s := startServer(t, options{})
	dn1 := login(t, s, "dn1", "store")
	dn1.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	roster := dn1.Want("</iq>")
	for _, item := range []string{
		"<item jid='dn2@" + domain + "' name='dn2' subscription='both'><group>Data nodes</group></item>",
		"<item jid='app@" + domain + "' name='app' subscription='both'><group>Applications</group></item>",
	} {
		if !strings.Contains(roster, item) {
			t.Errorf("roster without %s: %s", item, roster)
		}
	}
	if strings.Contains(roster, "alice") || strings.Contains(roster, "jid='dn1@") {
		t.Errorf("roster has more than the others in groups: %s", roster)
	}
	dn1.Sync()
	ctx := context.Background()
	if err := s.Accounts().Add(ctx, "dn3", password, "Data nodes"); err != nil {
		t.Fatal(err)
	}
	if got := dn1.Want("</iq>"); !strings.Contains(got, "type='set'") || !strings.Contains(got, "<item jid='dn3@"+domain+"' name='dn3' subscription='both'>") {
		t.Errorf("push for a new account: %s", got)
	}
	dn3 := login(t, s, "dn3", "store")
	dn3.Send("<presence><status>ready</status></presence>")
	if got := dn3.Want("from='dn1@" + domain + "/store'"); got == "" {
		t.Error("no presence of dn1")
	}
	dn1.Want("<status>ready</status>")
	if err := s.Accounts().SetPassword(ctx, "dn3", "other"); err != nil {
		t.Fatal(err)
	}
	dn3.Sync()
	if err := s.Accounts().Delete(ctx, "dn3"); err != nil {
		t.Fatal(err)
	}
	if got := dn1.Want("</iq>"); !strings.Contains(got, "<presence from='dn3@"+domain+"/store' to='dn1@"+domain+"' type='unavailable'/>") && !strings.Contains(got, "unavailable") || !strings.Contains(got, "subscription='remove'") {
		t.Errorf("push for a removed account: %s", got)
	}
	dn3.Rest()
}

func TestAbruptLoss(t *testing.T) {
	s := startServer(t, options{})
	dn1, dn2 := online(t, s, "dn1", "store"), online(t, s, "dn2", "store")
	dn1.Want("from='dn2@" + domain + "/store'")
	_ = dn2.Conn.Close()
	if got := dn1.Want("type='unavailable'"); !strings.Contains(got, "from='dn2@"+domain+"/store'") {
		t.Errorf("told of a lost connection: %s", got)
	}
	dn1.Send("<message to='dn2@" + domain + "/store'><body>are you there</body></message>")
	dn1.Want("<service-unavailable ")
}
