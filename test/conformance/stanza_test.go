package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// pair logs two accounts in.
func pair(t *testing.T, s *xmppd.Server) (a, b *xmppraw.Client) {
	t.Helper()
	resource := regexp.MustCompile(`\W+`).ReplaceAllString(t.Name(), "-")
	return xmppraw.Online(t, s, "alice", resource), xmppraw.Online(t, s, "bob", resource)
}

// TestStanzas is RFC 6120 section 8.
func TestStanzas(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"8 a partial stanza has no effect", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send(strings.TrimSuffix(xmppraw.Message(b.JID, "half"), "</message>"))
			lacks(t, b.Sync(), "half")
			a.Send("</message>")
			b.Want("half</body></message>")
		}},
		{"8.1.1.1 to is not changed", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			to := strings.Replace(b.JID, "bob@example", "BOB@Example", 1)
			a.Send(xmppraw.Message(to, "as written"))
			contains(t, b.Want("as written"), " to='"+to+"'")
		}},
		{"8.1.2.1 from is stamped", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			bare, _, _ := strings.Cut(a.JID, "/")
			for _, from := range []string{"", " from='" + a.JID + "'", " from='" + bare + "'"} {
				for _, st := range []string{"<message%s to='%s'/>", "<presence%s to='%s'/>", "<iq%s type='set' id='1' to='%s'><a xmlns='b'/></iq>"} {
					a.Send(fmt.Sprintf(st, from, b.JID))
					if got := b.Want(" from='" + a.JID + "'"); strings.Count(got, "from=") != 1 {
						t.Errorf("%q", got)
					}
				}
			}
		}},
		{"8.1.2.1 subscriptions have the bare from", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			bare, _, _ := strings.Cut(a.JID, "/")
			b.Sync()
			a.Send("<presence type='subscribe' to='bob@" + xmppraw.Domain + "'/>")
			got := b.Want("type='subscribe'") + b.Want("/>")
			contains(t, got, " from='"+bare+"'")
			a.Send("<presence type='unsubscribe' to='bob@" + xmppraw.Domain + "'/>")
			a.Sync()
		}},
		{"8.1.2.1 the server's own answers are from the server, the account's are not", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for to, want := range map[string]string{" to='" + xmppraw.Domain + "'": xmppraw.Domain, "": ""} {
				for _, ask := range []string{"<iq type='get' id='q'%s><query xmlns='jabber:iq:roster'/></iq>", "<iq type='get' id='q'%s><query xmlns='urn:example:none'/></iq>"} {
					a.Send(fmt.Sprintf(ask, to))
					got := a.Want("id='q'") + a.Want(">")
					if from := attr(got, "from"); from != want && (want != "" || !strings.HasPrefix(a.JID, from+"/")) {
						t.Errorf("%q answered from %q, want %q", ask, from, want)
					}
				}
			}
		}},
		{"8.1.3 the answer has the id", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, id := range []string{"1", "", "a&amp;b", "&lt;&gt;&quot;", "ü€😀"} {
				a.Send("<iq type='get' id='" + id + "' to='" + xmppraw.Domain + "'><ping xmlns='urn:xmpp:ping'/></iq><message id='" + id + "' to='nobody@" + xmppraw.Domain + "'><body/></message>")
				a.Want("id='" + id + "'")
				a.Want("id='" + id + "'")
			}
			a.Send("<message to='nobody@" + xmppraw.Domain + "'><body>no id</body></message>")
			lacks(t, a.Want("</message>"), " id=")
		}},
		{"8.1.5 xml:lang is not changed", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<message xml:lang='de-CH' to='" + b.JID + "'><body xml:lang='gsw'>Grüezi</body></message>")
			contains(t, b.Want("</message>"), "xml:lang='de-CH'", "<body xml:lang='gsw'>")
		}},
		{"8.2.3 an iq that is not for the server gets one answer, from whom it is for", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send("<iq type='get' id='q' to='" + b.JID + "'><a xmlns='b'/></iq>")
			b.Want("</iq>")
			b.Send("<iq type='result' id='q' to='" + a.JID + "'/>")
			contains(t, a.Want("/>"), "type='result'", "from='"+b.JID+"'")
			lacks(t, a.Sync(), "id='q'")
		}},
		{"8.3.1 an error has the kind, the id and an error child", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for kind, send := range map[string]string{
				"message":  "<message to='nobody@" + xmppraw.Domain + "' id='e1'><body>x</body></message>",
				"presence": "<presence to='@@' id='e1'/>",
				"iq":       "<iq type='get' to='nobody@" + xmppraw.Domain + "/r' id='e1'><a xmlns='b'/></iq>",
			} {
				a.Send(send)
				got := a.Want("</" + kind + ">")
				if !regexp.MustCompile(`^<`+kind+` [^>]*><error type='(cancel|modify)'><[a-z-]+ xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>(<text [^<]*</text>)?</error></`+kind+`>$`).MatchString(got) || attr(got, "type") != "error" || attr(got, "id") != "e1" {
					t.Errorf("%s: %q", kind, got)
				}
			}
		}},
		{"8.3.3 the error tells nothing of who is on line", func(t *testing.T, s *xmppd.Server) {
			// Two accounts that don't know one another: one has sessions, one has none, one does not exist.
			a, _ := pair(t, s)
			forms := map[string]bool{}
			for _, to := range []string{"carol", "bob", "nobody"} {
				for _, resource := range []string{"/unheard-of", ""} {
					a.Send("<iq type='get' id='x' to='" + to + "@" + xmppraw.Domain + resource + "'><a xmlns='b'/></iq>")
					got := a.Want("</iq>")
					forms[strings.Replace(strings.Replace(got, to+"@", "WHO@", 1), resource, "", 1)] = true
				}
			}
			if len(forms) != 1 {
				t.Errorf("different answers: %v", forms)
			}
		}},
		{"8.4 what the server does not understand is delivered unchanged", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			content := "<x xmlns='urn:example:x' xmlns:p='urn:p' p:a=\"1\"><p:b/><![CDATA[<&>]]>&#x1F600;</x>\n<body  xml:lang = 'de'>\ufeffü</body >"
			a.Send("<message to='" + b.JID + "' urn='ext'>" + content + "</message>")
			contains(t, b.Want("</message>"), ">"+content+"<", " urn='ext'")
			a.Send("<iq type='set' id='u' to='" + b.JID + "'>" + "<x xmlns='urn:example:x'>?</x>" + "</iq>")
			contains(t, b.Want("</iq>"), "<x xmlns='urn:example:x'>?</x>")
		}},
		{"8.4 an iq of an unknown namespace is refused", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			a.Send("<iq type='get' id='u' to='" + xmppraw.Domain + "'><x xmlns='urn:example:x'/></iq>")
			contains(t, a.Want("</iq>"), "<service-unavailable ")
		}},
	})
}

// TestRules is RFC 6120 section 10 and what section 11 and 13 add.
func TestRules(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"10.1 stanzas arrive in order, to bare and full JIDs", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			bare, _, _ := strings.Cut(b.JID, "/")
			var all strings.Builder
			const n = 500
			for i := range n {
				to := []string{b.JID, bare}[i%2]
				all.WriteString(xmppraw.Message(to, fmt.Sprint("n", i, ".")))
				if i%10 == 0 {
					fmt.Fprintf(&all, "<presence to='%s'><status>n%d.</status></presence>", b.JID, i)
				}
			}
			a.Send(all.String())
			got := b.Want(fmt.Sprint("n", n-1, "."))
			last := -1
			for _, m := range regexp.MustCompile(`>n(\d+)\.<`).FindAllStringSubmatch(got+"<", -1) {
				var i int
				if _, err := fmt.Sscan(m[1], &i); err != nil || i < last {
					t.Fatalf("%d behind %d", i, last)
				}
				last = i
			}
		}},
		{"10.1 what changes the handling of what follows is done first", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			a.Send("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='x@example.com' name='new'/></query></iq><iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>")
			a.Want("id='2'")
			contains(t, a.Want("</iq>"), "name='new'")
		}},
		{"10.3.1 a message without to is for one's own account", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			a.Send("<message type='chat'><body>note to myself</body></message>")
			contains(t, a.Want("note to myself"), "from='"+a.JID+"'")
		}},
		{"10.3.2 presence without to is broadcast", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			other := xmppraw.Online(t, s, "alice", "other-resource")
			a.Send("<presence><status>here</status></presence>")
			contains(t, other.Want("<status>here</status>"), "from='"+a.JID+"'")
		}},
		{"10.3.3 an iq without to is for one's own account", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			a.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><iq type='get' id='n'><x xmlns='urn:example:none'/></iq><iq type='result' id='z'/><iq type='error' id='y'/>")
			contains(t, a.Want("id='r'")+a.Want(">"), "type='result'")
			a.Want("id='n'")
			contains(t, a.Want("</iq>"), "<service-unavailable ")
			lacks(t, a.Sync(), "id='z'", "id='y'")
		}},
		{"10.4.3 another domain is told not to be found", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, st := range []string{"<message to='x@example.com' id='f'><body/></message>", "<iq type='get' id='f' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>"} {
				a.Send(st)
				contains(t, a.Want("</error>"), "<remote-server-not-found ")
			}
		}},
		{"10.5.1 stanzas to the domain are handled or refused", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, to := range []string{xmppraw.Domain, xmppraw.Domain + "/resource"} {
				a.Send("<message to='" + to + "' id='d1'><body/></message>")
				contains(t, a.Want("</message>"), "type='error'")
				a.Send("<iq type='get' id='d2' to='" + to + "'><ping xmlns='urn:xmpp:ping'/></iq>")
				a.Want("id='d2'")
				a.Want(">")
			}
		}},
		{"10.5.3.1 nobody's account is service-unavailable", func(t *testing.T, s *xmppd.Server) {
			a, _ := pair(t, s)
			for _, to := range []string{"nobody@" + xmppraw.Domain, "nobody@" + xmppraw.Domain + "/r"} {
				a.Send("<message to='" + to + "' type='chat' id='g'><body/></message>")
				contains(t, a.Want("</message>"), "<service-unavailable ")
				a.Send("<iq to='" + to + "' type='get' id='g'><a xmlns='b'/></iq>")
				contains(t, a.Want("</iq>"), "<service-unavailable ")
			}
		}},
		{"10.5.4 a full JID that is there gets the stanza", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			for _, st := range []string{"<message to='%s'/>", "<message type='headline' to='%s'/>", "<presence to='%s'/>", "<iq type='get' id='1' to='%s'><a xmlns='b'/></iq>", "<iq type='result' id='1' to='%s'/>", "<iq type='error' id='1' to='%s'/>"} {
				a.Send(fmt.Sprintf(st, b.JID))
				b.Want("from='" + a.JID + "'")
			}
		}},
		{"11.5 a standalone declaration is ignored", func(t *testing.T, s *xmppd.Server) {
			for _, v := range []string{"yes", "no"} {
				c := connect(t, s)
				c.Send(headerWith("<?xml version='1.0'?>", "<?xml version='1.0' encoding='UTF-8' standalone='"+v+"'?>"))
				c.Want("</stream:features>")
			}
		}},
		{"11.6 U+FEFF is a character", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send(xmppraw.Message(b.JID, "\ufeffmark"))
			b.Want("<body>\ufeffmark</body>")
		}},
		{"13.10.1 no address of a client is told to others", func(t *testing.T, s *xmppd.Server) {
			a, b := pair(t, s)
			a.Send(xmppraw.Message(b.JID, "hello") + "<presence to='" + b.JID + "'/>")
			b.Want("hello")
			lacks(t, b.Sync(), "127.0.0.1")
		}},
	})
}
