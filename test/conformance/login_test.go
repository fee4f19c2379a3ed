package main

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const saslNS = " xmlns='" + xmppraw.NSSASL + "'"

// scramByHand goes through SCRAM-SHA-1 without an initial response and returns the success.
func scramByHand(t *testing.T, c *xmppraw.Client) string {
	t.Helper()
	n := sasl.NewClient(sasl.ScramSha1, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte("alice"), []byte(xmppraw.Password), nil }))
	_, first, err := n.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.StdEncoding
	c.Send("<auth" + saslNS + " mechanism='SCRAM-SHA-1'/>")
	if got := c.Want(">"); got != "<challenge"+saslNS+"/>" {
		t.Errorf("an auth without a response was answered by %q", got)
	}
	c.Send("<response" + saslNS + ">" + enc.EncodeToString(first) + "</response>")
	challenge := c.Want("</challenge>")
	data, err := enc.DecodeString(regexp.MustCompile(`>([^<]*)<`).FindStringSubmatch(challenge)[1])
	if err != nil {
		t.Fatal(err)
	}
	_, last, err := n.Step(data)
	if err != nil {
		t.Fatal(err)
	}
	c.Send("<response" + saslNS + ">" + enc.EncodeToString(last) + "</response>")
	return c.Want("</success>", "</failure>")
}

// TestSASL is RFC 6120 section 6 and what section 13 says of it.
func TestSASL(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"6.4.1 the mechanisms are announced, the strongest first", func(t *testing.T, s *xmppd.Server) {
			_, direct, _ := s.Addrs()
			c := xmppraw.Connect(t, direct)
			c.StartTLS()
			got := c.Open()
			at := -1
			for _, m := range []string{">SCRAM-SHA-256<", ">SCRAM-SHA-1<", ">PLAIN<"} {
				i := strings.Index(got, m)
				if i <= at {
					t.Errorf("%s is not announced behind those before it: %q", m, got)
				}
				at = i
			}
		}},
		{"6.3.10 without an initial response, and with data in the success", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			contains(t, scramByHand(t, c), "<success"+saslNS+">dj") // v=
		}},
		{"6.3.10 with an initial response", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			if got := c.Auth(sasl.ScramSha256, "alice", xmppraw.Password); got != "success" {
				t.Error(got)
			}
		}},
		{"6.3.8 one's own bare JID as authorization identity", func(t *testing.T, s *xmppd.Server) {
			for authzid, want := range map[string]string{
				"alice@" + xmppraw.Domain: "<success", "bob@" + xmppraw.Domain: "<invalid-authzid/>",
				"alice@" + xmppraw.Domain + "/r": "<invalid-authzid/>", xmppraw.Domain: "<invalid-authzid/>",
			} {
				c := connect(t, s)
				c.Open()
				c.Send("<auth" + saslNS + " mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte(authzid+"\x00alice\x00"+xmppraw.Password)) + "</auth>")
				contains(t, c.Want("/>", "</failure>"), want)
			}
		}},
		{"6.4.2 an auth takes the place of the one under way", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			c.Send("<auth" + saslNS + " mechanism='SCRAM-SHA-256'/>")
			c.Want("<challenge" + saslNS + "/>")
			contains(t, scramByHand(t, c), "<success")
		}},
		{"6.4.4 an abort is answered, and another attempt works", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			c.Send("<auth" + saslNS + " mechanism='SCRAM-SHA-256'/><abort" + saslNS + "/>")
			contains(t, c.Want("</failure>"), "<failure"+saslNS+"><aborted/></failure>")
			contains(t, scramByHand(t, c), "<success")
		}},
		{"6.4.5 a failure has a condition, and retries are limited", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			for range 2 {
				if got := c.Auth(sasl.ScramSha256, "alice", "wrong"); !strings.Contains(got, "<failure"+saslNS+"><not-authorized/>") {
					t.Errorf("answered %q", got)
				}
			}
			c.Send(xmppraw.Plain("alice", "wrong"))
			contains(t, c.Rest(), "<not-authorized/>", "<stream:error><policy-violation ")
		}},
		{"6.4.6 a new stream follows success", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			first := c.Open()
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			c.Want("<success" + saslNS + "/>")
			if again := c.Open(); attr(again, "id") == attr(first, "id") || !strings.Contains(again, "<stream:features>") {
				t.Errorf("header and features behind the success: %q", again)
			}
		}},
	})
}

// TestBinding is RFC 6120 section 7.
func TestBinding(t *testing.T) {
	ready := func(t *testing.T, s *xmppd.Server) *xmppraw.Client {
		c := connect(t, s)
		c.Open()
		c.Send(xmppraw.Plain("alice", xmppraw.Password))
		c.Want("/>")
		c.Open()
		return c
	}
	bind := func(inner string) string {
		return "<iq type='set' id='&quot;1'><bind xmlns='" + xmppraw.NSBind + "'>" + inner + "</bind></iq>"
	}
	showAll(t, xmppraw.Start(t), []rule{
		{"7.4 binding is announced behind login, and only there", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			lacks(t, c.Open(), "xmpp-bind")
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			c.Want("/>")
			contains(t, c.Open(), "<bind xmlns='"+xmppraw.NSBind+"'/>")
		}},
		{"7.6 the server makes random resources", func(t *testing.T, s *xmppd.Server) {
			seen := map[string]bool{}
			for range 20 {
				c := ready(t, s)
				c.Send(bind(""))
				got := c.Want("</iq>")
				jid := regexp.MustCompile(`<jid>alice@` + xmppraw.Domain + `/([^<]{10,})</jid>`).FindStringSubmatch(got)
				if jid == nil || seen[jid[1]] || !strings.Contains(got, "type='result'") || !strings.Contains(got, "id='&quot;1'") {
					t.Fatalf("answered %q", got)
				}
				seen[jid[1]] = true
			}
		}},
		{"7.7 a resource of the client's wish", func(t *testing.T, s *xmppd.Server) {
			c := ready(t, s)
			c.Bind("b&amp;d &lt;1&gt;")
			if want := "alice@" + xmppraw.Domain + "/b&amp;d &lt;1&gt;"; c.JID != want {
				t.Errorf("bound %q, want %q", c.JID, want)
			}
		}},
		{"7.7.2.1 a resource that is none", func(t *testing.T, s *xmppd.Server) {
			c := ready(t, s)
			c.Send(bind("<resource>" + strings.Repeat("x", 1024) + "</resource>"))
			contains(t, c.Want("</iq>"), "<error type='modify'><bad-request ")
			c.Bind("better")
		}},
		{"7.7.2.2 a conflict ends the older session", func(t *testing.T, s *xmppd.Server) {
			old := ready(t, s)
			old.Bind("same")
			ready(t, s).Bind("same")
			contains(t, old.Rest(), "<stream:error><conflict ")
		}},
		{"7.7.3 retries are limited", func(t *testing.T, s *xmppd.Server) {
			c := ready(t, s)
			c.Send(strings.Repeat(bind("<resource>"+strings.Repeat("x", 1024)+"</resource>"), 5))
			contains(t, c.Rest(), "<stream:error><policy-violation ")
		}},
		{"7.3.2 no restart behind it", func(t *testing.T, s *xmppd.Server) {
			c := ready(t, s)
			c.Bind("restart")
			c.Sync()
		}},
		{"7.1 no stanza before it", func(t *testing.T, s *xmppd.Server) {
			bob := xmppraw.Online(t, s, "bob", "unbound")
			c := ready(t, s)
			c.Send(xmppraw.Message(bob.JID, "too early"))
			contains(t, c.Rest(), "<stream:error><not-authorized ")
			lacks(t, bob.Sync(), "too early")
		}},
	})
}
