package main

import (
	"regexp"
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// rule is a demand of a specification, named by its section, and what shows that the server meets it.
type rule struct {
	name string
	show func(t *testing.T, s *xmppd.Server)
}

func showAll(t *testing.T, s *xmppd.Server, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.show(t, s) })
	}
}

func connect(t *testing.T, s *xmppd.Server) *xmppraw.Client {
	plain, _, _ := s.Addrs()
	return xmppraw.Connect(t, plain)
}

func contains(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("got %q, want %q in it", got, p)
		}
	}
}

func lacks(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(got, p) {
			t.Errorf("got %q, and %q must not be in it", got, p)
		}
	}
}

func attr(text, name string) string {
	m := regexp.MustCompile(` ` + name + `='([^']*)'`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

func headerWith(old, now string) string { return strings.Replace(xmppraw.Header, old, now, 1) }

// TestStreams is RFC 6120 section 4.
func TestStreams(t *testing.T) {
	showAll(t, xmppraw.Start(t), []rule{
		{"4.3.2 features come behind the header", func(t *testing.T, s *xmppd.Server) {
			got := connect(t, s).Open()
			contains(t, got, "<?xml version='1.0'?><stream:stream ", " xmlns='jabber:client'", " xmlns:stream='http://etherx.jabber.org/streams'", "><stream:features>")
		}},
		{"4.3.3 a restart has a new id and keeps the connection", func(t *testing.T, s *xmppd.Server) {
			ids := map[string]bool{}
			c := connect(t, s)
			ids[attr(c.Open(), "id")] = true
			c.Send("<starttls xmlns='" + xmppraw.NSTLS + "'/>")
			lacks(t, c.Want("/>"), "</stream:stream>")
			c.StartTLS()
			ids[attr(c.Open(), "id")] = true
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			lacks(t, c.Want("/>"), "</stream:stream>")
			ids[attr(c.Open(), "id")] = true
			if len(ids) != 3 || ids[""] {
				t.Errorf("ids of the three streams: %v", ids)
			}
		}},
		{"4.3.4 features are sent again after a restart", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			before := c.Open()
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			c.Want("/>")
			after := c.Open()
			contains(t, before, "<mechanisms ")
			lacks(t, before, "<bind ")
			contains(t, after, "<bind ")
			lacks(t, after, "<mechanisms ", "<starttls ")
		}},
		{"4.3.5 no features behind the last ones", func(t *testing.T, s *xmppd.Server) {
			lacks(t, xmppraw.Login(t, s, "alice", "features").Sync(), "features")
		}},
		{"4.3.6 the JID is canonical and told by binding", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			if got := c.Auth(sasl.ScramSha1, "ALICE", xmppraw.Password); got != "success" {
				t.Fatal(got)
			}
			c.Open()
			c.Bind("Ro\u0301om 1") // composed by PRECIS
			if want := "alice@" + xmppraw.Domain + "/R\u00f3om 1"; c.JID != want {
				t.Errorf("bound %q, want %q", c.JID, want)
			}
		}},
		{"4.4 the end of a stream is answered by the end of the other", func(t *testing.T, s *xmppd.Server) {
			for _, enter := range []func() *xmppraw.Client{
				func() *xmppraw.Client { c := connect(t, s); c.Open(); return c },
				func() *xmppraw.Client { return xmppraw.Login(t, s, "alice", "end") },
				func() *xmppraw.Client { return xmppraw.LoginTLS(t, s, "alice", "end") }, // Rest fails without close_notify
			} {
				c := enter()
				c.Send("</stream:stream>")
				if got := c.Rest(); got != "</stream:stream>" {
					t.Errorf("answered %q", got)
				}
			}
		}},
		{"4.4 what was sent before the end is handled", func(t *testing.T, s *xmppd.Server) {
			bob, c := xmppraw.Online(t, s, "bob", "last"), xmppraw.Login(t, s, "alice", "last")
			c.Send(xmppraw.Message(bob.JID, "last words") + "</stream:stream>")
			bob.Want("last words")
		}},
		{"4.7.1 the response has a from", func(t *testing.T, s *xmppd.Server) {
			if got := connect(t, s).Open(); attr(got, "from") != xmppraw.Domain {
				t.Errorf("header %q", got)
			}
		}},
		{"4.7.2 the response's to is the from of the request, bare, or absent", func(t *testing.T, s *xmppd.Server) {
			if got, _, _ := strings.Cut(connect(t, s).Open(), "><"); attr(got, "to") != "" {
				t.Errorf("to without a from: %q", got)
			}
			c := connect(t, s)
			c.Send(headerWith(" to=", " from='alice@"+xmppraw.Domain+"/x' to="))
			if got := c.Want("</stream:features>"); attr(got, "to") != "alice@"+xmppraw.Domain {
				t.Errorf("header %q", got)
			}
		}},
		{"4.7.3 ids are unpredictable, and one in the request is ignored", func(t *testing.T, s *xmppd.Server) {
			seen := map[string]bool{}
			for range 50 {
				c := connect(t, s)
				c.Send(headerWith(" to=", " id='mine' to="))
				id := attr(c.Want("</stream:features>"), "id")
				if len(id) < 20 || seen[id] || id == "mine" {
					t.Fatalf("stream id %q, seen before: %v", id, seen[id])
				}
				seen[id] = true
			}
		}},
		{"4.7.4 the response has a language", func(t *testing.T, s *xmppd.Server) {
			for _, lang := range []string{"", " xml:lang='en'", " xml:lang='de-CH'"} {
				c := connect(t, s)
				c.Send(headerWith(" to=", lang+" to="))
				if got := c.Want("</stream:features>"); attr(got, "xml:lang") != "en" {
					t.Errorf("%q: %q", lang, got)
				}
			}
		}},
		{"4.7.5 versions are numbers, and the lower one counts", func(t *testing.T, s *xmppd.Server) {
			for _, v := range []string{"1.0", "1.1", "1.10", "2.0", "10.0", "01.00"} {
				c := connect(t, s)
				c.Send(headerWith(" version='1.0'>", " version='"+v+"'>"))
				got := c.Want("</stream:features>", "</stream:stream>")
				_, header, _ := strings.Cut(got, "?>")
				if attr(header, "version") != "1.0" || !strings.Contains(got, "<stream:features>") {
					t.Errorf("version %s: %q", v, got)
				}
			}
		}},
		{"4.8.2 the content namespace is the client's", func(t *testing.T, s *xmppd.Server) {
			got := connect(t, s).Open()
			contains(t, got, " xmlns='jabber:client' ")
			lacks(t, got, "jabber:server")
		}},
		{"4.8.5 namespaces of the header are not for stanzas", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Send(headerWith(" to=", " xmlns:x='urn:x' to="))
			c.Want("</stream:features>")
			c.Send("<x:a/>")
			contains(t, c.Rest(), "<bad-namespace-prefix ")
		}},
		{"4.9.1.2 an error of the header comes in a whole stream", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Send(headerWith(xmppraw.Domain, "elsewhere.example"))
			got := c.Rest()
			if !regexp.MustCompile(`^<\?xml version='1.0'\?><stream:stream [^>]*><stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>(<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>[^<]+</text>)?</stream:error></stream:stream>$`).MatchString(got) {
				t.Errorf("answered %q", got)
			}
			if attr(got, "from") != xmppraw.Domain {
				t.Errorf("from in %q", got)
			}
		}},
		{"4.6 white space keeps a stream alive", func(t *testing.T, s *xmppd.Server) {
			c := xmppraw.LoginTLS(t, s, "alice", "space")
			c.Send("  \n")
			if got := c.Sync(); got != "" {
				t.Errorf("white space was answered by %q", got)
			}
		}},
	})
}

// TestTLS is RFC 6120 section 5, on a server that demands TLS.
func TestTLS(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.InsecurePlaintext = false })
	start := "<starttls xmlns='" + xmppraw.NSTLS + "'/>"
	showAll(t, s, []rule{
		{"5.4.1 STARTTLS is announced as required", func(t *testing.T, s *xmppd.Server) {
			contains(t, connect(t, s).Open(), "<starttls xmlns='"+xmppraw.NSTLS+"'><required")
		}},
		{"6.3.4 no mechanism is offered before TLS that needs it", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			lacks(t, c.Open(), "mechanism")
			c.Send(xmppraw.Plain("alice", xmppraw.Password))
			contains(t, c.Want("</failure>"), "<encryption-required/>")
		}},
		{"5.4.2.3 proceed, then TLS, then a new stream without STARTTLS", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			c.Send(start)
			if got := c.Want("/>"); got != "<proceed xmlns='"+xmppraw.NSTLS+"'/>" {
				t.Errorf("answered %q", got)
			}
			c.StartTLS()
			got := c.Open()
			contains(t, got, "<mechanisms ", "SCRAM-SHA-1<", "SCRAM-SHA-256<", "PLAIN<")
			lacks(t, got, "starttls")
		}},
		{"5.4.2.2 STARTTLS inside TLS fails and ends the stream", func(t *testing.T, s *xmppd.Server) {
			_, direct, _ := s.Addrs()
			c := xmppraw.Connect(t, direct)
			c.StartTLS()
			c.Open()
			c.Send(start)
			if got := c.Rest(); got != "<failure xmlns='"+xmppraw.NSTLS+"'/></stream:stream>" {
				t.Errorf("answered %q", got)
			}
		}},
		{"5.4.3.2 a failed handshake ends the connection without more XML", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Open()
			c.Send(start)
			c.Want("/>")
			c.Send("this is no handshake at all")
			lacks(t, c.Rest(), "stream")
		}},
		{"5.4.3.3 nothing said before TLS counts behind it", func(t *testing.T, s *xmppd.Server) {
			c := connect(t, s)
			c.Send(headerWith(" to=", " from='bob@"+xmppraw.Domain+"' to="))
			c.Want("</stream:features>")
			c.Send(start)
			c.Want("/>")
			c.StartTLS()
			if got, _, _ := strings.Cut(c.Open(), "><"); attr(got, "to") != "" {
				t.Errorf("the header remembers what was said in the clear: %q", got)
			}
			if got := c.Auth(sasl.ScramSha256, "alice", xmppraw.Password); got != "success" {
				t.Error(got)
			}
		}},
	})
}
