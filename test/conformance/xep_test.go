package main

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 section 9.1 wants it
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const (
	discoInfo  = "http://jabber.org/protocol/disco#info"
	discoItems = "http://jabber.org/protocol/disco#items"
	commands   = "http://jabber.org/protocol/commands"
)

// ask sends an iq with the attributes and the payload given and returns the whole answer.
func ask(c *xmppraw.Client, typ, to, payload string) string {
	c.T.Helper()
	c.Sync()
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='" + typ + "' id='asked'" + to + ">" + payload + "</iq><iq type='get' id='behind' to='" + xmppraw.Domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	got := c.Want(" id='behind'")
	c.Want("/>")
	i, j := strings.Index(got, "<iq "), strings.LastIndex(got, "<iq ")
	for !strings.Contains(got[i:i+strings.Index(got[i:], ">")], "id='asked'") { // pushes may come first
		i += 1 + strings.Index(got[i+1:], "<iq ")
	}
	return got[i:j]
}

func query(ns, node string) string {
	if node != "" {
		node = " node='" + node + "'"
	}
	return "<query xmlns='" + ns + "'" + node + "/>"
}

// TestDisco is XEP-0030.
func TestDisco(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"3.1 the server has an identity and its features", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			got := ask(a, "get", xmppraw.Domain, query(discoInfo, ""))
			contains(t, got, "type='result'", "<query xmlns='"+discoInfo+"'>", "<feature var='"+discoInfo+"'/>")
			if !regexp.MustCompile(`<identity( [a-z]+='[^']*')*? category='server'( [a-z]+='[^']*')*? type='im'`).MatchString(got) {
				t.Errorf("no identity of a server: %q", got)
			}
			if regexp.MustCompile(`<feature/>|<feature [^>]*[^/]>`).MatchString(got) {
				t.Errorf("a feature without var or with children: %q", got)
			}
		}},
		{"3.1 the server answers for an account", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			bare, _, _ := strings.Cut(a.JID, "/")
			contains(t, ask(a, "get", bare, query(discoInfo, "")), "type='result'", "category='account'")
		}},
		{"3.2 a node is mirrored, one that is not there is refused", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			contains(t, ask(a, "get", xmppraw.Domain, query(discoInfo, "no-such-node")), "type='error'", "<item-not-found ")
			contains(t, ask(a, "get", xmppraw.Domain, query(discoItems, commands)), "type='result'", " node='"+commands+"'")
		}},
		{"4.1 without items there is an empty query", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			got := ask(a, "get", xmppraw.Domain, query(discoItems, ""))
			contains(t, got, "type='result'", "<query xmlns='"+discoItems+"'")
			for _, item := range regexp.MustCompile(`<item [^>]*>`).FindAllString(got, -1) {
				if attr(item, "jid") == "" {
					t.Errorf("an item without a jid: %q", item)
				}
			}
		}},
		{"8 strangers learn nothing of an account", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			infos, items := map[string]bool{}, map[string]bool{}
			for _, who := range []string{"bob", "carol", "nobody"} { // on line, off line, not there
				info := ask(a, "get", who+"@"+xmppraw.Domain, query(discoInfo, ""))
				contains(t, info, "<service-unavailable ")
				infos[strings.Replace(info, who+"@", "@", 1)] = true
				item := ask(a, "get", who+"@"+xmppraw.Domain, query(discoItems, ""))
				lacks(t, item, "<item ", "type='error'")
				items[strings.Replace(item, who+"@", "@", 1)] = true
			}
			if len(infos) != 1 || len(items) != 1 {
				t.Errorf("answers differ: %v %v", infos, items)
			}
		}},
	})
}

// TestSmallExtensions is those XEPs that have a page.
func TestSmallExtensions(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"XEP-0199 4.2 a ping is answered", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, to := range []string{xmppraw.Domain, ""} {
				contains(t, ask(a, "get", to, "<ping xmlns='urn:xmpp:ping'/>"), "type='result'")
			}
		}},
		{"XEP-0199 4.4 a ping of a client goes through", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<iq type='get' id='p' to='" + b.JID + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			b.Want("<ping xmlns='urn:xmpp:ping'/></iq>")
			b.Send("<iq type='result' id='p' to='" + a.JID + "'/>")
			contains(t, a.Want("/>"), "type='result'", "id='p'")
		}},
		{"XEP-0092 2 name and version are told, the operating system is not", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			got := ask(a, "get", xmppraw.Domain, "<query xmlns='jabber:iq:version'/>")
			if !regexp.MustCompile(`<name>[^<]+</name><version>[^<]+</version>`).MatchString(got) || strings.Contains(got, "<os>") {
				t.Errorf("answered %q", got)
			}
		}},
		{"each extension is among the features", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			got := ask(a, "get", xmppraw.Domain, query(discoInfo, ""))
			for _, f := range []string{"urn:xmpp:ping", "jabber:iq:version", discoInfo, discoItems, commands, "urn:xmpp:blocking", "http://jabber.org/protocol/caps"} {
				contains(t, got, "<feature var='"+f+"'/>")
			}
		}},
		{"XEP-0186 4 the invisible command is among the features", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			bare, _, _ := strings.Cut(a.JID, "/")
			got := ask(a, "get", xmppraw.Domain, query(discoInfo, "")) + ask(a, "get", bare, query(discoInfo, ""))
			contains(t, got, "<feature var='urn:xmpp:invisible:")
		}},
	})
}

// verification is the string of XEP-0115 section 5.1, made of an answer to disco#info without forms.
func verification(info string) string {
	var ids, features []string
	for _, i := range regexp.MustCompile(`<identity [^>]*>`).FindAllString(info, -1) {
		ids = append(ids, fmt.Sprintf("%s/%s/%s/%s<", attr(i, "category"), attr(i, "type"), attr(i, "xml:lang"), attr(i, "name")))
	}
	for _, f := range regexp.MustCompile(`<feature [^>]*>`).FindAllString(info, -1) {
		features = append(features, attr(f, "var")+"<")
	}
	slices.Sort(ids)
	slices.Sort(features)
	sum := sha1.Sum([]byte(strings.Join(ids, "") + strings.Join(features, ""))) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestCaps is XEP-0115 as far as it is the server's.
func TestCaps(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"6.3 the server's capabilities are a stream feature that verifies", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			c.Want("/>")
			features := c.Open()
			caps := regexp.MustCompile(`<c [^>]*>`).FindString(features)
			contains(t, caps, "xmlns='http://jabber.org/protocol/caps'", "hash='sha-1'", "node='", "ver='")
			c.Bind("caps")
			node := attr(caps, "node") + "#" + attr(caps, "ver")
			info := ask(c, "get", xmppraw.Domain, query(discoInfo, node))
			contains(t, info, " node='"+node+"'")
			if want := verification(info); !strings.Contains(info, "jabber:x:data") && attr(caps, "ver") != want {
				t.Errorf("ver is %s, want %s of %s", attr(caps, "ver"), want, info)
			}
		}},
		{"8.4 a client's capabilities are not taken out of its presence", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<presence to='" + b.JID + "'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>")
			b.Want("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>")
		}},
	})
}

// TestRegister is XEP-0077.
func TestRegister(t *testing.T) {
	form := func(inner string) string { return "<query xmlns='jabber:iq:register'>" + inner + "</query>" }
	t.Run("3.1 without registration it is refused", func(t *testing.T) {
		s := xmppraw.Start(t)
		c := connect(t, s)
		lacks(t, c.Open(), "iq-register")
		c.Send("<iq type='get' id='r'>" + form("") + "</iq>")
		if got := c.Want("</iq>", "</stream:stream>"); !strings.Contains(got, "<service-unavailable ") && !strings.Contains(got, "<not-allowed ") && !strings.Contains(got, "<not-authorized ") {
			t.Errorf("answered %q", got)
		}
	})
	showAll(t, xmppraw.Start(t, func(c *xmppd.Config) { c.Registration = "open" }), []rule{
		{"3.1 the fields are told, and all are needed", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			contains(t, c.Open(), "<register xmlns='http://jabber.org/features/iq-register'/>")
			c.Send("<iq type='get' id='r'>" + form("") + "</iq>")
			contains(t, c.Want("</iq>"), "<username/>", "<password/>")
			c.Send("<iq type='set' id='s'>" + form("<username>lacking</username>") + "</iq>")
			contains(t, c.Want("</iq>"), "<not-acceptable ")
			c.Send("<iq type='set' id='t'>" + form("<username>alice</username><password>x</password>") + "</iq>")
			contains(t, c.Want("</iq>"), "<conflict ")
		}},
		{"3.1 one who has an account is told so", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			contains(t, ask(a, "get", xmppraw.Domain, form("")), "<registered/>", "<username>alice</username>")
		}},
		{"3.2 the sender's account goes, whatever is written", func(t *testing.T, s *xmppd.Server) {
			if err := s.Accounts().Add(t.Context(), "leaver", xmppraw.Password, ""); err != nil {
				t.Fatal(err)
			}
			c := xmppraw.Login(t, s, "leaver", "r")
			c.Send("<iq type='set' id='r' to='" + xmppraw.Domain + "'>" + form("<remove/><username>alice</username>") + "</iq>")
			c.Rest()
			xmppraw.Login(t, s, "alice", "still")
			again := connect(t, s)
			again.Open()
			again.Send(xmppraw.Plain("leaver", xmppraw.Password))
			contains(t, again.Want("</failure>", "<success"), "<not-authorized/>")
		}},
		{"3.3 an empty password changes nothing", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, pw := range []string{"<password/>", "<password></password>"} {
				contains(t, ask(a, "set", xmppraw.Domain, form("<username>alice</username>"+pw)), "type='error'")
			}
			xmppraw.Login(t, s, "alice", "same-password")
		}},
	})
}

// TestFacts is what XEPs demand beyond the tests of package xmppd.
func TestFacts(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"each is among the features", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			bare, _, _ := strings.Cut(a.JID, "/")
			got := ask(a, "get", xmppraw.Domain, query(discoInfo, "")) + ask(a, "get", bare, query(discoInfo, ""))
			for _, f := range []string{"jabber:iq:last", "vcard-temp", "urn:xmpp:time", "urn:xmpp:carbons:2", "msgoffline"} {
				contains(t, got, "<feature var='"+f+"'/>")
			}
		}},
		{"XEP-0203 2 a kept message has a stamp in UTC", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			a.Send(xmppraw.Message("mallory@"+xmppraw.Domain, "kept"))
			a.Sync()
			got := xmppraw.Login(t, s, "mallory", "later")
			got.Send("<presence/>")
			m := got.Want("kept</body>") + got.Want("</message>")
			if !regexp.MustCompile(`<delay xmlns='urn:xmpp:delay'[^>]* stamp='\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z'`).MatchString(m) {
				t.Errorf("delivered as %q", m)
			}
		}},
		{"XEP-0313 7 the archive is a feature of the account", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			bare, _, _ := strings.Cut(a.JID, "/")
			contains(t, ask(a, "get", bare, query(discoInfo, "")), "<feature var='urn:xmpp:mam:2'/>", "<feature var='urn:xmpp:mam:2#extended'/>")
		}},
		{"XEP-0313 8.1 another's archive is closed", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, to := range []string{"bob@" + xmppraw.Domain, "nobody@" + xmppraw.Domain} {
				got := ask(a, "set", to, "<query xmlns='urn:xmpp:mam:2'/>")
				contains(t, got, "type='error'")
				lacks(t, got, "<result")
			}
		}},
	})
}
