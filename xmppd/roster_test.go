package xmppd_test

import (
	"strings"
	"testing"
)

const (
	alice = "alice@" + domain
	bob   = "bob@" + domain
)

func roster(c *client) string {
	c.T.Helper()
	c.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	return c.Want("</iq>", "<query xmlns='jabber:iq:roster'/>")
}

func has(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%s: no %q in %q", what, p, got)
		}
	}
}

func hasNot(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(got, p) {
			t.Errorf("%s: %q in %q", what, p, got)
		}
	}
}

// TestSubscription plays the whole life of a subscription (RFC 6121 section 3).
func TestSubscription(t *testing.T) {
	s := startServer(t, options{})
	a := login(t, s, "alice", "a")
	has(t, "empty roster", roster(a), "type='result'")
	a.Send("<presence><status>hi</status></presence>")
	a.Send("<presence type='subscribe' to='" + bob + "/whatever'/>")
	has(t, "push to alice", a.Sync(), "<item jid='"+bob+"' subscription='none' ask='subscribe'/>")

	// bob is off line; the request waits until he is available.
	b := login(t, s, "bob", "b")
	has(t, "request before presence", roster(b), "type='result'")
	hasNot(t, "request before presence", b.Sync(), "subscribe")
	b.Send("<presence/>")
	has(t, "request", b.Sync(), "type='subscribe'", "from='"+alice+"'", "to='"+bob+"'")
	hasNot(t, "a request is no contact", roster(b), "<item")

	b.Send("<presence type='subscribed' to='" + alice + "'/>")
	has(t, "push to bob", b.Sync(), "<item jid='"+alice+"' subscription='from'/>")
	has(t, "alice is told", a.Sync(), "type='subscribed'", "<item jid='"+bob+"' subscription='to'/>", "<presence to='"+alice+"' from='"+bob+"/b'/>")

	// the other way round, approved without delay
	b.Send("<presence type='subscribe' to='" + alice + "'/>")
	b.Sync()
	has(t, "bob's request", a.Sync(), "type='subscribe'", "from='"+bob+"'")
	a.Send("<presence type='subscribed' to='" + bob + "'/>")
	a.Sync()
	has(t, "bob is told", b.Sync(), "subscription='both'", "<status>hi</status>")

	b.Send("<presence><show>dnd</show></presence>")
	b.Sync()
	has(t, "broadcast", a.Sync(), "<show>dnd</show>", "from='"+bob+"/b'", "to='"+alice+"'")

	// a second request is approved by the server itself
	a.Send("<presence type='unsubscribe' to='" + bob + "'/>")
	has(t, "unsubscribe", a.Sync(), "<item jid='"+bob+"' subscription='from'/>")
	has(t, "bob hears of it", b.Sync(), "type='unsubscribe'", "<item jid='"+alice+"' subscription='to'/>")

	b.Send("<presence type='unsubscribe' to='" + alice + "'/>")
	has(t, "unavailable to the former subscriber", b.Sync(), "<presence to='"+bob+"' from='"+alice+"/a' type='unavailable'/>", "subscription='none'")
	a.Send("<presence><status>secret</status></presence>")
	a.Sync()
	hasNot(t, "presence after unsubscribing", b.Sync(), "secret")
}

func TestRosterSet(t *testing.T) {
	s := startServer(t, options{})
	a1, a2 := login(t, s, "alice", "1"), login(t, s, "alice", "2")
	roster(a1)
	set := func(item string) string {
		a1.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>" + item + "</query></iq>")
		return a1.Sync()
	}
	has(t, "set", set("<item jid='"+bob+"' name='Bob &amp; Co'><group>Friends</group><group>Work</group></item>"),
		"<item jid='"+bob+"' name='Bob &amp; Co' subscription='none'><group>Friends</group><group>Work</group></item>", "type='result' id='s'")
	hasNot(t, "push to a session that hasn't asked", a2.Sync(), "Friends")
	has(t, "roster", roster(a2), "<item jid='"+bob+"' name='Bob &amp; Co' subscription='none'><group>Friends</group><group>Work</group></item>")
	has(t, "second set", set("<item jid='"+bob+"'/>"), "<item jid='"+bob+"' subscription='none'/>")
	has(t, "push", a2.Sync(), "<item jid='"+bob+"' subscription='none'/>")
	for item, condition := range map[string]string{
		"": "bad-request", "<item jid='a@b'/><item jid='c@d'/>": "bad-request", "<item jid='@'/>": "bad-request", "<item/>": "bad-request",
		"<item jid='" + alice + "'/>":                                "not-allowed",
		"<item jid='a@b'><group/></item>":                            "not-acceptable",
		"<item jid='a@b'><group>x</group><group>x</group></item>":    "bad-request",
		"<item jid='a@b' name='" + strings.Repeat("x", 2000) + "'/>": "not-acceptable",
		"<item jid='nobody@" + domain + "' subscription='remove'/>":  "item-not-found",
	} {
		has(t, item, set(item), "<"+condition+" ")
	}
	has(t, "remove", set("<item jid='"+bob+"' subscription='remove'/>"), "<item jid='"+bob+"' subscription='remove'/>", "type='result' id='s'")
	hasNot(t, "roster after removal", roster(a1), "bob")
}

// TestRemoveEndsSubscription: RFC 6121 section 2.5.
func TestRemoveEndsSubscription(t *testing.T) {
	s := startServer(t, options{})
	a, b := login(t, s, "alice", "a"), login(t, s, "bob", "b")
	for _, c := range []*client{a, b} {
		roster(c)
		c.Send("<presence/>")
		c.Sync()
	}
	for _, step := range []struct {
		c    *client
		verb string
		to   string
	}{{a, "subscribe", bob}, {b, "subscribed", alice}, {b, "subscribe", alice}, {a, "subscribed", bob}} {
		step.c.Send("<presence type='" + step.verb + "' to='" + step.to + "'/>")
		step.c.Sync()
	}
	has(t, "both", roster(b), "subscription='both'")
	b.Sync()
	a.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='" + bob + "' subscription='remove'/></query></iq>")
	has(t, "alice", a.Sync(), "<item jid='"+bob+"' subscription='remove'/>", "<presence to='"+alice+"' from='"+bob+"/b' type='unavailable'/>")
	has(t, "bob", b.Sync(), "type='unsubscribe'", "type='unsubscribed'", "subscription='none'", "<presence to='"+bob+"' from='"+alice+"/a' type='unavailable'/>")
}

func TestSubscribeToNobody(t *testing.T) {
	s := startServer(t, options{})
	a := login(t, s, "alice", "a")
	roster(a)
	a.Send("<presence/><presence type='subscribe' to='nobody@" + domain + "'/>")
	has(t, "answer", a.Sync(), "type='unsubscribed'", "<item jid='nobody@"+domain+"' subscription='none'/>")
}

func TestDirectedPresence(t *testing.T) {
	s := startServer(t, options{})
	a, b := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	a.Send("<presence to='" + bob + "'><status>for you</status></presence>")
	a.Sync()
	has(t, "directed", b.Sync(), "<status>for you</status>", "from='"+alice+"/a'", "to='"+bob+"'")
	a.Send("<presence><status>for friends</status></presence>")
	a.Sync()
	hasNot(t, "broadcast", b.Sync(), "for friends")
	_ = a.Conn.Close()
	has(t, "clean-up", b.Want("type='unavailable'"), "from='"+alice+"/a'")
}

func TestOwnResources(t *testing.T) {
	s := startServer(t, options{})
	one := online(t, s, "alice", "1")
	two := login(t, s, "alice", "2")
	two.Send("<presence/>")
	has(t, "two sees one", two.Sync(), "from='"+alice+"/1'")
	has(t, "one sees two", one.Sync(), "from='"+alice+"/2'")
	two.Send("</stream:stream>")
	two.Rest()
	has(t, "one sees two go", one.Want("type='unavailable'"), "from='"+alice+"/2'")
}

func TestSharedContactsAreFixed(t *testing.T) {
	s := startServer(t, options{})
	c := login(t, s, "dn1", "store")
	c.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='dn2@" + domain + "' subscription='remove'/></query></iq>")
	has(t, "removal", c.Sync(), "<not-allowed ")
	c.Send("<presence/><presence type='subscribe' to='dn2@" + domain + "'/>")
	has(t, "subscribing", c.Sync(), "type='subscribed'")
}

func TestPresenceErrors(t *testing.T) {
	s := startServer(t, options{})
	a := online(t, s, "alice", "a")
	for send, want := range map[string]string{
		"<presence type='what'/>":                              "<bad-request ",
		"<presence type='subscribe'/>":                         "<bad-request ",
		"<presence><priority>200</priority></presence>":        "<bad-request ",
		"<presence><priority>x</priority></presence>":          "<bad-request ",
		"<presence to='a@example.com'/>":                       "<remote-server-not-found ",
		"<presence to='@'/>":                                   "<jid-malformed ",
		"<presence type='probe' to='" + bob + "'/>":            "type='unsubscribed'",
		"<presence type='what' to='" + bob + "'/>":             "<bad-request ",
		"<presence type='subscribe' to='nobody@example.com'/>": "<remote-server-not-found ",
	} {
		a.Send(send)
		has(t, send, a.Sync(), want)
	}
}
