package hostile

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// stanzas are well-formed and of the right namespace, and wrong all the same (RFC 6120 section 8).
func stanzas() []attack {
	const server, nobody = xmppraw.Domain, "carol@" + xmppraw.Domain + "/nobody"
	query := "<query xmlns='urn:example:nobody-answers'/>"
	return []attack{
		{"iq without id", "<iq type='get' to='" + server + "'><ping xmlns='urn:xmpp:ping'/></iq>", "stanza bad-request"},
		{"iq without type", "<iq id='1' to='" + server + "'><ping xmlns='urn:xmpp:ping'/></iq>", "stanza bad-request"},
		{"iq of an unknown type", "<iq type='put' id='1' to='" + server + "'><ping xmlns='urn:xmpp:ping'/></iq>", "stanza bad-request"},
		{"iq of an empty type", "<iq type='' id='1' to='" + victim + "'>" + query + "</iq>", "stanza bad-request"},
		{"iq without payload", "<iq type='get' id='1' to='" + server + "'/>", "stanza bad-request"},
		{"iq with text only", "<iq type='set' id='1' to='" + victim + "'>ping</iq>", "stanza bad-request"},
		{"iq with two payloads", "<iq type='get' id='1' to='" + server + "'><ping xmlns='urn:xmpp:ping'/><query xmlns='jabber:iq:version'/></iq>", "stanza bad-request"},
		{"iq with two payloads for somebody", "<iq type='set' id='1' to='" + victim + "'>" + query + query + "</iq>", "stanza bad-request"},
		{"iq that nobody answers", "<iq type='get' id='1' to='" + server + "'>" + query + "</iq>", "stanza service-unavailable"},
		{"iq to one's own account that nobody answers", "<iq type='set' id='1'>" + query + "</iq>", "stanza service-unavailable"},
		{"iq to an account that nobody answers", "<iq type='get' id='1' to='carol@" + server + "'>" + query + "</iq>", "stanza service-unavailable"},
		{"iq to an account that does not exist", "<iq type='get' id='1' to='ghost@" + server + "'>" + query + "</iq>", "stanza service-unavailable"},
		{"iq to a resource that is not there", "<iq type='get' id='1' to='" + nobody + "'>" + query + "</iq>", "stanza service-unavailable"},
		{"iq to another domain", "<iq type='get' id='1' to='example.com'>" + query + "</iq>", "stanza remote-server-not-found"},
		{"payload without a namespace", "<iq type='get' id='1' to='" + server + "'><query xmlns=''/></iq>", "stanza service-unavailable"},
		{"payload that is inherited from the stream", "<iq type='get' id='1' to='" + server + "'><query/></iq>", "stanza service-unavailable"},
		{"second binding", bindIQ, "stanza not-allowed"},
		{"malformed address", "<message to='a@@b'><body>x</body></message>", "stanza jid-malformed"},
		{"empty address", "<message to=''><body>x</body></message>", "stanza jid-malformed"},
		{"address without a domain", "<iq type='get' id='1' to='a@/r'>" + query + "</iq>", "stanza jid-malformed"},
		{"localpart that is too long", "<message to='" + strings.Repeat("a", 1024) + "@" + server + "'/>", "stanza jid-malformed"},
		{"endless address", "<message to='" + strings.Repeat("a", 100_000) + "'/>", "stanza jid-malformed"},
		{"forbidden character in an address", "<presence to='a&amp;b@" + server + "'/>", "stanza jid-malformed"},
		{"message to another domain", "<message to='bob@example.com'><body>x</body></message>", "stanza remote-server-not-found"},
		{"message to nobody", "<message to='ghost@" + server + "'><body>x</body></message>", "stanza service-unavailable"},
		{"presence of an unknown type", "<presence type='dancing'/>", "stanza bad-request"},
		{"presence of an unknown type to somebody", "<presence type='dancing' to='" + victim + "'/>", "stanza bad-request"},
		{"subscription without an address", "<presence type='subscribe'/>", "stanza bad-request"},
		{"priority that is no number", "<presence><priority>high</priority></presence>", "stanza bad-request"},
		{"priority out of range", "<presence><priority>128</priority></presence>", "stanza bad-request"},
		{"presence to another domain", "<presence to='bob@example.com'/>", "stanza remote-server-not-found"},

		{"error to somebody who is not there", "<message type='error' to='" + nobody + "'><error type='cancel'/></message>", "harmless"},
		{"error to an account", "<message type='error' to='carol@" + server + "'/>", "harmless"},
		{"error to the server", "<message type='error' to='" + server + "'/>", "harmless"},
		{"error to an unknown account", "<message type='error' to='ghost@" + server + "'/>", "harmless"},
		{"error to another domain", "<message type='error' to='example.com'/>", "harmless"},
		{"error to a malformed address", "<message type='error' to='@@'/>", "harmless"},
		{"iq error to somebody who is not there", "<iq type='error' id='1' to='" + nobody + "'/>", "harmless"},
		{"iq error to the server", "<iq type='error' id='1' to='" + server + "'/>", "harmless"},
		{"iq error of a wrong form", "<iq type='error' to='" + server + "'/>", "harmless"},
		{"result that nobody asked for", "<iq type='result' id='1' to='" + server + "'/>", "harmless"},
		{"result to one's own account", "<iq type='result' id='1'/>", "harmless"},
		{"result to an account", "<iq type='result' id='1' to='carol@" + server + "'/>", "harmless"},
		{"result to somebody who is not there", "<iq type='result' id='1' to='" + nobody + "'/>", "harmless"},
		{"result of a wrong form", "<iq type='result' to='" + victim + "'/>", "harmless"},
		{"result with two payloads", "<iq type='result' id='1' to='" + victim + "'>" + query + query + "</iq>", "harmless"},
		{"result to a malformed address", "<iq type='result' id='1' to='@@'/>", "harmless"},
		{"presence error to the server", "<presence type='error' to='" + server + "'/>", "harmless"},
		{"presence error without an address", "<presence type='error'/>", "harmless"},
		{"presence error to nobody", "<presence type='error' to='" + nobody + "'/>", "harmless"},
		{"unavailable to nobody", "<presence type='unavailable' to='" + nobody + "'/>", "harmless"},
		{"headline to nobody", "<message type='headline' to='carol@" + server + "'/>", "harmless"},
		{"subscribed that nobody asked for", "<presence type='subscribed' to='carol@" + server + "'/>", "harmless"},
		{"white space", " \r\n\t ", "harmless"},
	}
}

// TestHostileStanzas: each gets its stanza error, or no answer where one could go on for ever; the
// stream lives on and the account attacked hears nothing.
func TestHostileStanzas(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	carol := xmppraw.Login(t, s, "carol", "victim") // not available: so nothing is meant for it but by full JID
	t.Run("plain", func(t *testing.T) { run(t, s, bound, by, stanzas()) })
	t.Run("TLS", func(t *testing.T) { run(t, s, boundTLS, by, stanzas()) })
	if got := carol.Sync(); got != "" {
		t.Errorf("the victim got %q", got)
	}
}

// TestErrorLoop: two clients that answer every error by an error get nowhere.
func TestErrorLoop(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	a, b := xmppraw.Login(t, s, "mallory", "a"), xmppraw.Login(t, s, "mallory", "b")
	a.Send("<message type='error' to='" + b.JID + "'><error type='cancel'/></message>")
	b.Want("</message>")
	if err := a.Conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		b.Send("<message type='error' to='" + a.JID + "'/><iq type='error' id='1' to='" + a.JID + "'/>")
	}
	if got := b.Sync(); got != "" {
		t.Errorf("errors were answered: %q", got)
	}
	by.goOn(t, 1)
}

// TestSubscriptionsOfNobody: requests between accounts that don't exist, and to oneself, end.
func TestSubscriptionsOfNobody(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	c := xmppraw.Online(t, s, "mallory", "r")
	for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"} {
		for _, to := range []string{"ghost@" + xmppraw.Domain, "mallory@" + xmppraw.Domain, xmppraw.Domain, "ghost@" + xmppraw.Domain + "/r"} {
			c.Send("<presence type='" + typ + "' to='" + to + "'/>")
		}
	}
	c.Sync()
	by.goOn(t, 1)
}

// TestRosterFlood: a roster is bounded in items, groups and the length of names (RFC 6121 section 2.3.3).
func TestRosterFlood(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.RosterItems = 20 })
	by := chat(t, s)
	c := xmppraw.Login(t, s, "mallory", "r")
	set := func(inner string) string {
		c.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>" + inner + "</query></iq>")
		return c.Want("</error></iq>", "<iq type='result' id='s'/>", "<iq type='result' id='s' to='"+c.JID+"'/>")
	}
	for _, tt := range []struct{ name, item, want string }{
		{"two items", "<item jid='a@b'/><item jid='c@d'/>", "bad-request"},
		{"no item", "", "bad-request"},
		{"malformed contact", "<item jid='@@'/>", "bad-request"},
		{"contact missing", "<item name='x'/>", "bad-request"},
		{"endless name", "<item jid='a@b' name='" + strings.Repeat("x", 50_000) + "'/>", "not-acceptable"},
		{"endless group", "<item jid='a@b'><group>" + strings.Repeat("x", 50_000) + "</group></item>", "not-acceptable"},
		{"empty group", "<item jid='a@b'><group/></item>", "not-acceptable"},
		{"group twice", "<item jid='a@b'><group>g</group><group>g</group></item>", "bad-request"},
		{"thousands of groups", "<item jid='a@b'>" + many(2000, "<group>g%d</group>") + "</item>", "not-acceptable"},
		{"contact that is not there", "<item jid='ghost@b' subscription='remove'/>", "item-not-found"},
	} {
		if got := set(tt.item); !strings.Contains(got, "<"+tt.want+" ") {
			t.Errorf("%s: %q, want %s", tt.name, got, tt.want)
		}
	}
	full := 0
	for _, jid := range strings.Fields(many(40, "c%d@example.com ")) {
		if strings.Contains(set("<item jid='"+jid+"'/>"), "<resource-constraint ") {
			full++
		}
	}
	if full != 20 {
		t.Errorf("%d of 40 items were refused, want 20", full)
	}
	by.goOn(t, 1)
}
