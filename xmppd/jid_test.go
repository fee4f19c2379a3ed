package xmppd_test

import (
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// TestAddressForms: names, resources and recipients are the same in all spellings that RFC 7622
// makes equal, at login, at binding and in "to".
func TestAddressForms(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	if got := c.Auth(sasl.Plain, "\uff21LICE", password); got != "success" { // FULLWIDTH A
		t.Fatal(got)
	}
	c.Open()
	c.Bind("cafe\u0301\u00a0&amp;&lt;x")
	const full = "alice@" + domain + "/caf\u00e9 &amp;&lt;x"
	if c.JID != full {
		t.Fatalf("bound %q, want %q", c.JID, full)
	}
	bob := login(t, s, "bob", "b")
	for i, to := range []string{
		full, "ALICE@EXAMPLE.NET/caf\u00e9 &amp;&lt;x", "alice@example.net./caf\u00e9&#xA0;&#38;&lt;x", "\uff41lice@example\u3002net/cafe\u0301 &amp;&#x3C;x",
	} {
		body := strings.Repeat("x", i+1)
		bob.Send(xmppraw.Message(to, body))
		if got := c.Want("</message>"); !strings.Contains(got, "<body>"+body+"</body>") || !strings.Contains(got, "from='bob@"+domain+"/b'") {
			t.Errorf("to %q: %q", to, got)
		}
	}
	// Upper case in a resource is another one.
	bob.Send(strings.Replace(xmppraw.Message("alice@"+domain+"/CAF\u00c9 &amp;&lt;x", "other"), "chat", "normal", 1))
	bob.Sync()
	if got := c.Sync(); strings.Contains(got, "other") {
		t.Errorf("what was for another resource: %q", got)
	}
	for _, bad := range []string{"al ice@" + domain, "@" + domain, "alice@" + domain + "/", "alice@a\u2135b.example"} {
		bob.Send(xmppraw.Message(bad, "nowhere"))
		if got := bob.Want("</message>"); !strings.Contains(got, "<jid-malformed ") {
			t.Errorf("to %q: %q", bad, got)
		}
	}
}

// TestPasswordForms: passwords are the same in the spellings that SASLprep (RFC 4013) makes equal,
// whoever derives the keys.
func TestPasswordForms(t *testing.T) {
	s := startServer(t, options{})
	if err := s.Accounts().Add(t.Context(), "dora", "I\u00adX \u00aa\u2168\u00e9", ""); err != nil { // SOFT HYPHEN, FEMININE ORDINAL, ROMAN NINE
		t.Fatal(err)
	}
	if err := s.Accounts().Add(t.Context(), "eve", "bell\a", ""); err == nil {
		t.Error("a control character was accepted in a password")
	}
	addr, _, _ := s.Addrs()
	for _, pw := range []string{"IX aIX\u00e9", "I\u00adX\u00a0\u00aa\u2168e\u0301", "IX\u2003aIX\u00e9"} {
		c := connect(t, addr)
		c.Open()
		if got := c.Auth(sasl.Plain, "dora", pw); got != "success" {
			t.Errorf("%q: %q", pw, got)
		}
	}
	c := connect(t, addr)
	c.Open()
	if got := c.Auth(sasl.ScramSha256, "dora", "IX aIX\u00e9"); got != "success" {
		t.Errorf("prepared by the client: %q", got)
	}
	for _, pw := range []string{"ix aix\u00e9", "IX aIXe", "IX aIX\u00e9 "} {
		c := connect(t, addr)
		c.Open()
		if got := c.Auth(sasl.Plain, "dora", pw); !strings.Contains(got, "<not-authorized/>") {
			t.Errorf("%q: %q", pw, got)
		}
	}
}
