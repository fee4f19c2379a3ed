package xmppd_test

import (
	"crypto/sha1" //nolint:gosec // the handshake of XEP-0114
	"encoding/hex"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

const gateway = "gateway." + domain

// componentServer is a server with the component gateway.
func componentServer(t *testing.T) *xmppd.Server {
	t.Helper()
	return startServer(t, options{cfg: func(c *xmppd.Config) {
		c.ListenComponent = "127.0.0.1:0"
		c.Components = []xmppd.ComponentConfig{{Name: gateway, Secret: "s3cret"}}
		c.Limits.StanzaBytes = 20_000
	}})
}

// openComponent sends a header and returns the stream's id.
func openComponent(t *testing.T, s *xmppd.Server, name string) (*client, string) {
	t.Helper()
	c := connect(t, s.ComponentAddr())
	c.JID = name
	c.Send("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + name + "'>")
	_, id, _ := strings.Cut(c.Want("'>"), " id='")
	return c, strings.TrimSuffix(id, "'>")
}

func proof(id, secret string) string {
	sum := sha1.Sum([]byte(id + secret)) //nolint:gosec // see above
	return "<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>"
}

func loginComponent(t *testing.T, s *xmppd.Server) *client {
	t.Helper()
	return proveComponent(t, s, "s3cret")
}

// proveComponent connects the component gateway with a secret.
func proveComponent(t *testing.T, s *xmppd.Server, secret string) *client {
	t.Helper()
	c, id := openComponent(t, s, gateway)
	c.Send(proof(id, secret))
	c.Want("<handshake/>")
	return c
}

func TestComponentTalks(t *testing.T) {
	s := componentServer(t)
	c, alice := loginComponent(t, s), online(t, s, "alice", "x")

	alice.Send("<message type='chat' to='icq@" + gateway + "/r' id='1'><body>out</body></message>")
	got := c.Want("</message>")
	if !strings.Contains(got, "from='alice@example.net/x'") || !strings.Contains(got, "to='icq@gateway.example.net/r'") {
		t.Errorf("the component got %s", got)
	}
	// Any address of its domain may speak, and its own namespace may be repeated.
	c.Send("<message xmlns='jabber:component:accept' type='chat' from='icq@" + gateway + "' to='alice@example.net' id='2'><body>in</body></message>")
	if got := alice.Want("</message>"); !strings.Contains(got, "from='icq@gateway.example.net'") || strings.Contains(got, "component:accept") {
		t.Errorf("the client got %s", got)
	}
	// An IQ each way, answered.
	alice.Send("<iq type='get' to='" + gateway + "' id='3'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.Want("</iq>")
	c.Send("<iq type='result' from='" + gateway + "' to='alice@example.net/x' id='3'/>")
	alice.Want("id='3'")
	alice.Want("/>")
	c.Send("<iq type='get' from='icq@" + gateway + "' to='example.net' id='4'><query xmlns='jabber:iq:version'/></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "to='icq@gateway.example.net'") || !strings.Contains(got, "<name>") {
		t.Errorf("the server answered %s", got)
	}
	// What the component sends and nobody takes comes back to it; no account is in reach of a
	// component that bears its name.
	c.Send("<message from='alice@" + gateway + "' to='nobody@example.net' id='5'/>")
	if got := c.Want("</message>"); !strings.Contains(got, "service-unavailable") {
		t.Errorf("undeliverable: %s", got)
	}
	c.Send("<iq type='set' from='alice@" + gateway + "' to='example.net' id='6'><query xmlns='jabber:iq:register'><remove/></query></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "service-unavailable") {
		t.Errorf("a component's alice asked for the removal of an account: %s", got)
	}
	login(t, s, "alice", "still-there")
}

func TestComponentLeaves(t *testing.T) {
	s := componentServer(t)
	alice := online(t, s, "alice", "x")
	bounced := func() {
		t.Helper()
		alice.Send("<message to='icq@" + gateway + "' id='gone'><body>x</body></message>")
		if got := alice.Want("</message>"); !strings.Contains(got, "remote-server-not-found") {
			t.Errorf("without the component: %s", got)
		}
	}
	bounced()
	c := loginComponent(t, s)
	c.Send("</stream:stream>")
	c.Want("</stream:stream>")
	c.Rest()
	bounced()

	// The same component again: the older connection ends with a conflict.
	old := loginComponent(t, s)
	newer := loginComponent(t, s)
	if got := old.Rest(); !strings.Contains(got, "<conflict") {
		t.Errorf("the older connection got %q", got)
	}
	alice.Send("<iq type='get' to='" + domain + "' id='items'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
	if got := alice.Want("</iq>"); !strings.Contains(got, "<item jid='"+gateway+"'/>") {
		t.Errorf("the server's services: %s", got)
	}
	alice.Send("<message to='icq@" + gateway + "' id='7'/>")
	newer.Want("id='7'")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := newer.Rest(); !strings.Contains(got, "<system-shutdown") {
		t.Errorf("at the end of the server: %q", got)
	}
}

func TestComponentRefused(t *testing.T) {
	s := componentServer(t)
	stranger, id := openComponent(t, s, gateway)
	stranger.Send(proof(id, "wrong"))
	if got := stranger.Rest(); !strings.Contains(got, "<not-authorized") {
		t.Errorf("wrong secret: %q", got)
	}
	other := connect(t, s.ComponentAddr())
	other.Send("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='other.example.net'>")
	if got := other.Rest(); !strings.Contains(got, "<host-unknown") {
		t.Errorf("unknown name: %q", got)
	}
	for _, c := range []struct{ name, send, want string }{
		{"no handshake", "<message to='alice@example.net' from='" + gateway + "'/>", "<not-authorized"},
		{"comment", "<!-- x -->", "<restricted-xml"},
	} {
		x, _ := openComponent(t, s, gateway)
		x.Send(c.send)
		if got := x.Rest(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	for _, c := range []struct{ name, send, want string }{
		{"client's namespace", "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='" + gateway + "'>", "<invalid-namespace"},
		{"no stream", "<x>", "<invalid-namespace"},
		{"DTD", "<!DOCTYPE x><stream:stream>", "<restricted-xml"},
		{"no domain", "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>", "<host-unknown"},
		{"long header", "<stream:stream a='" + strings.Repeat("x", 10_000), "<policy-violation"},
	} {
		x := connect(t, s.ComponentAddr())
		x.Send(c.send)
		if got := x.Rest(); !strings.Contains(got, c.want) {
			t.Errorf("header, %s: %q", c.name, got)
		}
	}
	for _, c := range []struct{ name, send, want string }{
		{"another's address", "<message from='alice@example.net' to='bob@example.net'/>", "<invalid-from"},
		{"no from", "<message to='bob@example.net'/>", "<improper-addressing"},
		{"no to", "<message from='" + gateway + "'/>", "<improper-addressing"},
		{"no stanza", "<x xmlns='y'/>", "<unsupported-stanza-type"},
		{"large", "<message from='" + gateway + "' to='bob@example.net'><body>" + strings.Repeat("x", 30_000), "<policy-violation"},
	} {
		x := loginComponent(t, s)
		x.Send(c.send)
		if got := x.Rest(); !strings.Contains(got, c.want) {
			t.Errorf("stanza, %s: %q", c.name, got)
		}
	}
}

func TestComponentPresence(t *testing.T) {
	s := componentServer(t)
	c, alice := loginComponent(t, s), online(t, s, "alice", "x")
	alice.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	alice.Want("type='result'")
	alice.Send("<presence type='subscribe' to='icq@" + gateway + "'/>")
	c.Want("type='subscribe'")
	c.Want("/>")
	c.Send("<presence type='subscribed' from='icq@" + gateway + "' to='alice@example.net'/><presence type='subscribe' from='icq@" + gateway + "' to='alice@example.net'/>")
	alice.Want("type='subscribed'")
	alice.Want("type='subscribe'")
	c.Send("<presence from='icq@" + gateway + "/r' to='alice@example.net'><show>away</show></presence>")
	alice.Want("<show>away</show>")
}
