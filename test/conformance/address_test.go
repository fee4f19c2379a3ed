package main

import (
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// TestAddresses is RFC 7622: what is equal gets through, what is none is refused, through login,
// binding, accounts and stanzas.
func TestAddresses(t *testing.T) {
	s := xmppraw.Start(t)
	if err := s.Accounts().Add(t.Context(), "FUSSBALL", xmppraw.Password, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts().Add(t.Context(), "χαρά", xmppraw.Password, ""); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 1023)
	showAll(t, s, []rule{
		{"3.1 parts are separated by the first slash and the first at sign", func(t *testing.T, s *xmppd.Server) {
			c := xmppraw.Login(t, s, "alice", "a@b/c@d")
			if want := "alice@" + xmppraw.Domain + "/a@b/c@d"; c.JID != want {
				t.Errorf("bound %q, want %q", c.JID, want)
			}
		}},
		{"3.2 a domain is compared in lower case", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<message to='" + strings.Replace(b.JID, "example.net", "Example.NET", 1) + "'><body>capital</body></message>")
			b.Want("capital")
		}},
		{"3.2.1 a dot behind the domain is not part of it", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<message to='" + strings.Replace(b.JID, "example.net", "example.net.", 1) + "'><body>dot</body></message>")
			b.Want("dot")
		}},
		{"3.3 localparts are case-mapped and composed", func(t *testing.T, s *xmppd.Server) {
			for _, name := range []string{"fussball", "FussBall", "ΧΑΡΆ", "χαρα\u0301"} {
				c := connect(t, s)
				c.Open()
				if got := c.Auth(sasl.Plain, name, xmppraw.Password); got != "success" {
					t.Errorf("%s: %s", name, got)
				}
			}
		}},
		{"3.3.1 localparts have no spaces, controls, symbols or the eight characters", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, c := range []string{"&quot;", "&amp;", "&apos;", ":", "&lt;", "&gt;", "@", " ", "\u00a0", "\u2028", "\u265a", "\u200d", "\ufffd", "\uff20"} {
				a.Send("<message id='m' to='x" + c + "y@" + xmppraw.Domain + "'><body/></message>")
				contains(t, a.Want("</message>"), "<jid-malformed ")
			}
			for _, name := range []string{"a b", "a@b", "a/b", "a:b", "a'b", `a"b`, "a<b", "a&b", "", "♚", "a\u0000b"} {
				if err := s.Accounts().Add(t.Context(), name, xmppraw.Password, ""); err == nil {
					t.Errorf("an account is called %q", name)
				}
			}
		}},
		{"3.4 resources keep their case and may have spaces and symbols", func(t *testing.T, s *xmppd.Server) {
			c := xmppraw.Login(t, s, "alice", "Foo Bar ♚ é")
			if want := "alice@" + xmppraw.Domain + "/Foo Bar ♚ é"; c.JID != want {
				t.Errorf("bound %q, want %q", c.JID, want)
			}
			a, _ := pair(t, s)
			a.Send("<message id='m' to='" + strings.Replace(c.JID, "Foo", "foo", 1) + "'><body/></message>")
			contains(t, a.Want("</message>"), "<service-unavailable ")
			a.Send("<message to='" + c.JID + "'><body>case</body></message>")
			c.Want("case")
		}},
		{"3.4 resources have no controls", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			a.Send("<message id='m' to='alice@" + xmppraw.Domain + "/a\u0085b'><body/></message>")
			contains(t, a.Want("</message>"), "<jid-malformed ")
		}},
		{"3.2-3.4 each part has from 1 to 1023 bytes", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for to, want := range map[string]string{
				long + "@" + xmppraw.Domain:                       "<service-unavailable ",
				"a" + long + "@" + xmppraw.Domain:                 "<jid-malformed ",
				"alice@" + xmppraw.Domain + "/" + long:            "<service-unavailable ",
				"alice@" + xmppraw.Domain + "/a" + long:           "<jid-malformed ",
				"alice@" + strings.Repeat("a.", 600) + "example.": "<jid-malformed ",
				"@" + xmppraw.Domain:                              "<jid-malformed ",
				"alice@":                                          "<jid-malformed ",
				"alice@" + xmppraw.Domain + "/":                   "<jid-malformed ",
				"alice@" + xmppraw.Domain + "/a&#9;b":             "<jid-malformed ",
			} {
				a.Send("<message id='m' type='normal' to='" + to + "'><body/></message>")
				if got := a.Want("</message>"); !strings.Contains(got, want) {
					t.Errorf("%.60q: %q, want %s", to, got[len(got)-160:], want)
				}
			}
		}},
	})
}
