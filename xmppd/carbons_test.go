package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
)

func (c *client) carbons(verb string) {
	c.T.Helper()
	c.Send("<iq type='set' id='" + verb + "'><" + verb + " xmlns='urn:xmpp:carbons:2'/></iq>")
	if got := c.Want("id='"+verb+"'") + c.Want(">"); !strings.Contains(got, "type='result'") {
		c.T.Fatalf("%s: %s", verb, got)
	}
}

// TestCarbons: the other clients of an account that want it get copies of what is sent and received, the
// client itself none, and those that don't want it neither (XEP-0280 sections 6 to 8).
func TestCarbons(t *testing.T) {
	s := startServer(t, options{})
	a1, a2, a3 := online(t, s, "alice", "1"), online(t, s, "alice", "2"), online(t, s, "alice", "3")
	bob := online(t, s, "bob", "b")
	a1.carbons("enable")
	a2.carbons("enable")
	a2.carbons("enable") // twice is no error
	for _, c := range []*client{a1, a2, a3} {
		c.Sync()
	}
	a1.Send(xmppraw.Message("bob@"+domain+"/b", "out"))
	want := "<message from='alice@" + domain + "' type='chat' to='alice@" + domain + "/2'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<message xmlns='jabber:client' from='alice@" + domain + "/1' type='chat' to='bob@" + domain + "/b' id='m'><body>out</body></message></forwarded></sent></message>"
	if got := a2.Want("</sent></message>"); !strings.HasSuffix(got, want) {
		t.Errorf("copy of what was sent:\n%s\nwant\n%s", got, want)
	}
	bob.Want("<body>out</body>")
	bob.Send(xmppraw.Message("alice@"+domain+"/1", "in"))
	if got := a2.Want("</received></message>"); !strings.Contains(got, "<message from='alice@"+domain+"' type='chat' to='alice@"+domain+"/2'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@"+domain+"/b'") || !strings.Contains(got, "<body>in</body>") {
		t.Errorf("copy of what was received: %s", got)
	}
	if got := a1.Sync(); strings.Count(got, "<body>in</body>") != 1 || strings.Contains(got, "carbons") {
		t.Errorf("the receiver itself got %s", got)
	}
	if got := a3.Sync(); strings.Contains(got, "<body>") {
		t.Errorf("a client that did not ask got %s", got)
	}
	// To oneself: each client gets it once, in one form or the other.
	a1.Send(xmppraw.Message("alice@"+domain+"/3", "self"))
	if got := a2.Want("</message></forwarded>"); strings.Count(got, "<body>self</body>") != 1 || !strings.Contains(got, "<received ") {
		t.Errorf("copy of a message to oneself: %s", got)
	}
	if got := a2.Sync() + a1.Sync(); strings.Contains(got, "<body>self</body>") {
		t.Errorf("copied twice: %s", got)
	}
	if got := a3.Sync(); strings.Count(got, "<body>self</body>") != 1 {
		t.Errorf("the client it was for got %s", got)
	}
	a2.carbons("disable")
	a1.Send(xmppraw.Message("bob@"+domain+"/b", "out"))
	bob.Want("<body>out</body>")
	bob.Send(xmppraw.Message("alice@"+domain+"/1", "in"))
	a1.Want("<body>in</body>")
	if got := a2.Sync(); strings.Contains(got, "<body>") {
		t.Errorf("after disabling: %s", got)
	}
	a3.Send("<iq type='set' id='x' to='bob@" + domain + "'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	if got := a3.Want("</iq>"); !strings.Contains(got, "<forbidden ") {
		t.Errorf("somebody else's carbons: %s", got)
	}
}

// TestCarbonRules: which messages are copied (XEP-0280 sections 6.1 and 9, XEP-0334).
func TestCarbonRules(t *testing.T) {
	s := startServer(t, options{})
	a1, a2, bob := online(t, s, "alice", "1"), online(t, s, "alice", "2"), online(t, s, "bob", "b")
	a2.carbons("enable")
	bob.carbons("enable")
	for i, tt := range []struct {
		typ, payload string
		copied       bool
	}{
		{"chat", "<body>x</body>", true},
		{"chat", "", true},
		{"normal", "<body>x</body>", true},
		{"normal", "<other xmlns='urn:example'/>", false},
		{"normal", "<received xmlns='urn:xmpp:receipts' id='x'/>", true},
		{"normal", "<active xmlns='http://jabber.org/protocol/chatstates'/>", true},
		{"groupchat", "<body>x</body>", false},
		{"headline", "<body>x</body>", false},
		{"error", "<error type='cancel'/>", false},
		{"error", "<body>x</body><error type='cancel'/>", true},
		{"chat", "<body>x</body><private xmlns='urn:xmpp:carbons:2'/>", false},
		{"chat", "<body>x</body><no-copy xmlns='urn:xmpp:hints'/>", false},
		{"chat", "<body>x</body><private xmlns='urn:xmpp:carbons:2'></private><no-copy xmlns='urn:xmpp:hints'/>", false},
		{"chat", "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></sent>", false},
		{"chat", "<received xmlns='urn:xmpp:carbons:2'/>", false},
		{"chat", "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>", false},
		{"normal", "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@b'/></x>", true},
	} {
		mark := fmt.Sprintf("mark%d.", i)
		a1.Send(fmt.Sprintf("<message to='bob@%s/b' type='%s' id='%s'>%s</message>", domain, tt.typ, mark, tt.payload))
		a1.Sync()
		if got := strings.Contains(a2.Sync(), mark); got != tt.copied {
			t.Errorf("sent %s %s: copied %v", tt.typ, tt.payload, got)
		}
		got := bob.Sync()
		if strings.Count(got, mark) != 1 || strings.Contains(got, "<private") {
			t.Errorf("%s %s was delivered as %s", tt.typ, tt.payload, got)
		}
		bob.Send(fmt.Sprintf("<message to='alice@%s/1' type='%s' id='%s'>%s</message>", domain, tt.typ, mark, tt.payload))
		bob.Sync()
		if got := strings.Contains(a2.Sync(), mark); got != tt.copied {
			t.Errorf("received %s %s: copied %v", tt.typ, tt.payload, got)
		}
		if got := a1.Sync(); strings.Count(got, mark) != 1 || strings.Contains(got, "<private") || strings.Count(got, "<no-copy") > 1 {
			t.Errorf("%s %s was delivered as %s", tt.typ, tt.payload, got)
		}
	}
}

// TestCarbonsStay: what nobody took is not copied, and copies that a session did not get go nowhere.
func TestCarbonsStay(t *testing.T) {
	s := startServer(t, options{})
	a1 := online(t, s, "alice", "1")
	a2 := enable(login(t, s, "alice", "2"), "max='1'")
	a2.Send("<presence><priority>-1</priority></presence>")
	a2.carbons("enable")
	a2.Sync()
	bob := online(t, s, "bob", "b")
	_ = a2.Conn.Close()
	bob.Send(xmppraw.Message("alice@"+domain+"/1", "in"))
	a1.Want("<body>in</body>")
	a1.Send(xmppraw.Message("bob@"+domain+"/b", "out"))
	bob.Want("<body>out</body>")
	a1.Want("type='unavailable'") // of the session that had got copies of both
	if got := a1.Sync() + bob.Sync(); strings.Contains(got, "<body>") || strings.Contains(got, "error") {
		t.Errorf("copies that were not taken went on: %s", got)
	}
}
