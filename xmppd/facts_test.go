package xmppd_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/modules/contact"
)

// ask sends an IQ and returns the answer. to may be empty.
func (c *client) ask(typ, to, payload string) string {
	c.T.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='" + typ + "' id='ask'" + to + ">" + payload + "</iq>")
	return c.Sync()
}

func TestEntityTime(t *testing.T) {
	s := startServer(t, options{})
	c := login(t, s, "alice", "x")
	got := c.ask("get", domain, "<time xmlns='urn:xmpp:time'/>")
	m := regexp.MustCompile(`<tzo>\+00:00</tzo><utc>([^<]+)</utc>`).FindStringSubmatch(got)
	if m == nil {
		t.Fatal(got)
	}
	at, err := time.Parse(time.RFC3339, m[1])
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("%s: %v", m[1], err)
	}
	if got := c.ask("set", domain, "<time xmlns='urn:xmpp:time'/>"); !strings.Contains(got, "<bad-request") {
		t.Error(got)
	}
}

func TestContactAddresses(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.Modules.Contact = contact.Config{Abuse: []string{"mailto:abuse@example.net", "xmpp:a&b@example.net"}}
	}})
	c := login(t, s, "alice", "x")
	got := c.ask("get", domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	if !strings.Contains(got, "<value>http://jabber.org/network/serverinfo</value>") ||
		!strings.Contains(got, "<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@example.net</value><value>xmpp:a&amp;b@example.net</value></field>") {
		t.Error(got)
	}
	cfg := xmppd.Defaults()
	cfg.Domain = domain
	cfg.Modules.Contact.Support = []string{"somebody"}
	if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), "modules.contact.support") {
		t.Errorf("an address that is no URI: %v", err)
	}
}

func TestPrivateXML(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.Private.Bytes, c.Modules.Private.Elements = 2000, 3 }})
	query := func(body string) string { return "<query xmlns='jabber:iq:private'>" + body + "</query>" }
	c := login(t, s, "alice", "x")
	const bookmarks = "<storage xmlns='storage:bookmarks'><conference name='a &amp; b' jid='c@d'/></storage>"
	if got := c.ask("get", "", query("<storage xmlns='storage:bookmarks'/>")); !strings.Contains(got, "<storage xmlns='storage:bookmarks'/></query>") {
		t.Errorf("before anything is stored: %s", got)
	}
	if got := c.ask("set", "", query(bookmarks)); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	other := login(t, s, "alice", "y")
	if got := other.ask("get", "alice@"+domain, query("<storage xmlns='storage:bookmarks'/>")); !strings.Contains(got, bookmarks) {
		t.Errorf("another client of the account got %s", got)
	}
	if got := other.ask("get", "", query("<storage xmlns='storage:other'/>")); strings.Contains(got, "conference") {
		t.Errorf("another namespace: %s", got)
	}
	bob := login(t, s, "bob", "x")
	if got := bob.ask("get", "alice@"+domain, query("<storage xmlns='storage:bookmarks'/>")); !strings.Contains(got, "<forbidden") {
		t.Errorf("another account got %s", got)
	}
	for body, want := range map[string]string{
		"":                             "<not-acceptable",
		"<storage/>":                   "<not-acceptable",
		"<a xmlns='b'/><c xmlns='d'/>": "", // a set of two is fine
		"<a xmlns='b'>" + strings.Repeat("x", 3000) + "</a>": "<resource-constraint",
	} {
		if want == "" {
			want = "type='result'"
		}
		if got := c.ask("set", "", query(body)); !strings.Contains(got, want) {
			t.Errorf("set %.40q: %s, want %s", body, got, want)
		}
	}
	if got := c.ask("set", "", query("<e xmlns='f'/>")); !strings.Contains(got, "<resource-constraint") {
		t.Errorf("a fourth element: %s", got)
	}
	if got := c.ask("get", "", query("<a xmlns='b'/><c xmlns='d'/>")); !strings.Contains(got, "<not-acceptable") {
		t.Errorf("two at a time: %s", got)
	}
	c.Send("<iq type='set' id='p' xmlns:p='q'><query xmlns='jabber:iq:private'><p:a/></query></iq>")
	if got := c.Sync(); !strings.Contains(got, "type='error'") {
		t.Errorf("a prefix declared outside: %s", got)
	}
}

func TestVCard(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.VCard.Bytes = 1000 }})
	alice, bob := login(t, s, "alice", "x"), login(t, s, "bob", "x")
	const ask = "<vCard xmlns='vcard-temp'/>"
	if got := alice.ask("get", "", ask); !strings.Contains(got, "<vCard xmlns='vcard-temp'/>") {
		t.Errorf("the own one before it is set: %s", got)
	}
	if got := alice.ask("set", "", "<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>"); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	if got := bob.ask("get", "alice@"+domain, ask); !strings.Contains(got, "<FN>Alice</FN>") {
		t.Error(got)
	}
	stranger, nobody := bob.ask("get", "carol@"+domain, ask), bob.ask("get", "nobody@"+domain, ask)
	if !strings.Contains(stranger, "<item-not-found") || strings.ReplaceAll(stranger, "carol", "nobody") != nobody {
		t.Errorf("accounts can be told from names without one: %s, %s", stranger, nobody)
	}
	if got := bob.ask("set", "alice@"+domain, "<vCard xmlns='vcard-temp'><FN>Bob</FN></vCard>"); !strings.Contains(got, "<forbidden") {
		t.Error(got)
	}
	if got := alice.ask("set", "", "<vCard xmlns='vcard-temp'><FN>"+strings.Repeat("x", 1000)+"</FN></vCard>"); !strings.Contains(got, "<not-acceptable") {
		t.Error(got)
	}
}

func TestLastActivity(t *testing.T) {
	s := startServer(t, options{})
	const ask = "<query xmlns='jabber:iq:last'/>"
	alice, bob := online(t, s, "alice", "x"), online(t, s, "bob", "x")
	if got := alice.ask("get", domain, ask); !regexp.MustCompile(`seconds='\d+'`).MatchString(got) {
		t.Errorf("the server: %s", got)
	}
	if got := bob.ask("get", "alice@"+domain, ask); !strings.Contains(got, "<forbidden") {
		t.Errorf("without a subscription: %s", got)
	}
	bob.Send("<presence type='subscribe' to='alice@" + domain + "'/>")
	alice.Want("type='subscribe'")
	alice.Send("<presence type='subscribed' to='bob@" + domain + "'/>")
	alice.Sync()
	if got := bob.ask("get", "alice@"+domain, ask); !strings.Contains(got, "seconds='0'") {
		t.Errorf("of somebody on line: %s", got)
	}
	alice.Send("</stream:stream>")
	alice.Rest()
	// The end of the session is noted a moment after the stream's.
	deadline := time.Now().Add(patience)
	got := ""
	for !strings.Contains(got, "seconds=") && time.Now().Before(deadline) {
		got = bob.ask("get", "alice@"+domain, ask)
	}
	var seconds int
	if _, err := fmt.Sscanf(got[strings.Index(got, "seconds='")+len("seconds='"):], "%d", &seconds); err != nil || seconds > 60 {
		t.Errorf("after the end: %s", got)
	}
}
