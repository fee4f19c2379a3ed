package main

import (
	"crypto/tls"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const rosterGet = "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"

func rosterSet(item string) string {
	return "<iq type='set' id='set'><query xmlns='jabber:iq:roster'>" + item + "</query></iq>"
}

// TestRoster is what RFC 6121 demands beyond the plays of package xmppd.
func TestRoster(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"2.1.4 an empty roster is an empty query", func(t *testing.T, s *xmppd.Server) {
			c := xmppraw.Login(t, s, "carol", "r")
			c.Send(rosterGet)
			got := c.Want("</iq>")
			if !regexp.MustCompile(`^<iq type='result' id='roster'( to='[^']*')?><query xmlns='jabber:iq:roster'( ver='[^']*')?(/>|></query>)</iq>$`).MatchString(got) {
				t.Errorf("answered %q", got)
			}
		}},
		{"2.1.6 a push is an iq set with one item and an id of its own", func(t *testing.T, s *xmppd.Server) {
			one, two, deaf := xmppraw.Login(t, s, "alice", "one"), xmppraw.Login(t, s, "alice", "two"), xmppraw.Login(t, s, "alice", "three")
			ids := map[string]bool{}
			for _, c := range []*xmppraw.Client{one, two} {
				c.Send(rosterGet)
				c.Want("</iq>")
			}
			for range 3 {
				one.Send(rosterSet("<item jid='x@example.com' name='n'/>"))
				for _, c := range []*xmppraw.Client{one, two} {
					got := c.Want("</query></iq>")
					got = got[strings.LastIndex(got, "<iq "):]
					if attr(got, "type") != "set" || strings.Count(got, "<item ") != 1 || attr(got, "to") != "" && attr(got, "to") != c.JID || attr(got, "from") != "" && attr(got, "from") != "alice@"+xmppraw.Domain {
						t.Errorf("push to %s: %q", c.JID, got)
					}
					key := c.JID + attr(got, "id")
					if attr(got, "id") == "" || ids[key] {
						t.Errorf("id of the push %q", got)
					}
					ids[key] = true
				}
			}
			if got := deaf.Sync(); got != "" {
				t.Errorf("who has not asked for the roster got %q", got)
			}
		}},
		{"2.4.2 a second set changes name and groups", func(t *testing.T, s *xmppd.Server) {
			c := xmppraw.Login(t, s, "bob", "r")
			c.Send(rosterSet("<item jid='x@example.com' name='old'><group>a</group></item>") + rosterSet("<item jid='x@example.com' name='new'><group>b</group></item>") + rosterGet)
			c.Want("id='roster'")
			got := c.Want("</iq>")
			contains(t, got, "name='new'", "<group>b</group>")
			lacks(t, got, "old", "<group>a</group>")
			if strings.Count(got, "<item ") != 1 {
				t.Errorf("roster %q", got)
			}
		}},
		{"2.6.1 versions and pre-approval are announced", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			lacks(t, c.Open(), "rosterver", "pre-approval")
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			c.Want("/>")
			contains(t, c.Open(), "<ver xmlns='urn:xmpp:features:rosterver'/>", "<sub xmlns='urn:xmpp:features:pre-approval'/>")
		}},
		{"5.2.2 an unknown type of message is normal", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<message type='telepathy' to='bob@" + xmppraw.Domain + "'><body>as normal</body></message>")
			b.Want("as normal")
		}},
	})
}

// TestCiphers is what RFC 9325 demands of the cipher suites of TLS 1.2.
func TestCiphers(t *testing.T) {
	s := xmppraw.Start(t)
	_, direct, _ := s.Addrs()
	dial := func(suite uint16) error {
		conn, err := tls.Dial("tcp", direct, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}) //nolint:gosec // on purpose
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	taken := 0
	for _, c := range tls.CipherSuites() {
		secret := strings.HasPrefix(c.Name, "TLS_ECDHE_") && (strings.Contains(c.Name, "GCM") || strings.Contains(c.Name, "POLY1305"))
		err := dial(c.ID)
		if err == nil && !secret {
			t.Errorf("%s is taken", c.Name)
		}
		if err == nil {
			taken++
		}
	}
	for _, c := range tls.InsecureCipherSuites() {
		if dial(c.ID) == nil {
			t.Errorf("%s is taken", c.Name)
		}
	}
	if taken == 0 {
		t.Error("no suite of TLS 1.2 is taken")
	}
}
