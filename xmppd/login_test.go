package xmppd_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// TestMain looks for goroutines that are left. memberlist.Shutdown does not wait for a probe under way.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probe"))
}

func TestLogin(t *testing.T) {
	s := startServer(t, options{})
	plain, direct, _ := s.Addrs()
	for _, mech := range []sasl.Mechanism{sasl.ScramSha256, sasl.ScramSha1, sasl.Plain} {
		for _, mode := range []string{"plain", "starttls", "direct"} {
			t.Run(mech.Name+"/"+mode, func(t *testing.T) {
				addr := plain
				if mode == "direct" {
					addr = direct
				}
				c := connect(t, addr)
				if mode == "direct" {
					c.StartTLS()
				}
				features := c.Open()
				if mode == "starttls" {
					c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
					c.Want("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
					c.StartTLS()
					features = c.Open()
				}
				if !strings.Contains(features, "<mechanism>"+mech.Name+"</mechanism>") {
					t.Fatalf("not offered in %q", features)
				}
				if mode != "plain" && strings.Contains(features, "starttls") {
					t.Fatalf("STARTTLS offered inside TLS: %q", features)
				}
				for _, wrong := range [][2]string{{"alice", "wrong"}, {"nobody", password}} {
					if got := c.Auth(mech, wrong[0], wrong[1]); !strings.Contains(got, "<not-authorized/>") {
						t.Fatalf("login of %s with %q: %q", wrong[0], wrong[1], got)
					}
				}
				if got := c.Auth(mech, "alice", password); got != "success" {
					t.Fatal(got)
				}
				if features := c.Open(); !strings.Contains(features, "xmpp-bind") {
					t.Fatalf("no binding in %q", features)
				}
				c.Bind("r-" + mode)
				if want := "alice@" + domain + "/r-" + mode; c.JID != want {
					t.Fatalf("bound %q, want %q", c.JID, want)
				}
				c.Send("</stream:stream>")
				if got := c.Rest(); got != "</stream:stream>" {
					t.Fatalf("end of the stream: %q", got)
				}
			})
		}
	}
}

// TestWhiteSpaceBehindStartTLS: clients end the element with a line feed, and it may come late.
func TestWhiteSpaceBehindStartTLS(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	for _, late := range []string{"", "\n", " \t\r\n"} {
		c := connect(t, addr)
		c.Open()
		c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\r\n")
		c.Want("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		c.Send(late)
		c.StartTLS()
		c.Open()
		if got := c.Auth(sasl.ScramSha256, "alice", password); got != "success" {
			t.Errorf("login after %q ahead of TLS: %q", late, got)
		}
	}
	c := connect(t, addr)
	c.Open()
	c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.Want("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.TrySend("\n" + header)
	if got := c.Rest(); strings.Contains(got, "<stream:") {
		t.Errorf("clear text ahead of TLS got an answer: %q", got)
	}
}

func TestForeignClient(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	sess, err := xmpp.NewClientSession(ctx, jid.MustParse("alice@"+domain), conn,
		xmpp.StartTLS(&tls.Config{InsecureSkipVerify: true}), //nolint:gosec // self-signed
		xmpp.SASL("", password, sasl.ScramSha256),
		xmpp.BindResource(),
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := sess.LocalAddr().Bare().String(); got != "alice@"+domain || sess.LocalAddr().Resourcepart() == "" {
		t.Fatalf("bound %v", sess.LocalAddr())
	}
	if err := sess.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNoLoginWithoutTLS(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.InsecurePlaintext = false }})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	if f := c.Open(); strings.Contains(f, "mechanism") || !strings.Contains(f, "<required/>") {
		t.Fatalf("features before TLS: %q", f)
	}
	if got := c.Auth(sasl.Plain, "alice", password); !strings.Contains(got, "<encryption-required/>") {
		t.Fatalf("PLAIN without TLS: %q", got)
	}
}

// headerFrom checks that nobody gets further with another user's address in the stream header.
func headerFrom(t *testing.T, f c2s.Faults) (ok bool) {
	s := startServer(t, options{c2s: f})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	if got := c.Auth(sasl.ScramSha256, "alice", password); got != "success" {
		t.Fatal(got)
	}
	c.Send(strings.Replace(header, " to=", " from='bob@"+domain+"' to=", 1))
	got := c.Want("</stream:features>", "</stream:error>")
	return strings.Contains(got, "<invalid-from ")
}

func TestHeaderFrom(t *testing.T) {
	if !headerFrom(t, c2s.Faults{}) {
		t.Error("a stream header with another user's address was accepted")
	}
	if headerFrom(t, c2s.Faults{TrustHeaderFrom: true}) {
		t.Error("the planted bug was not noticed")
	}
}

func TestResourceConflict(t *testing.T) {
	s := startServer(t, options{})
	watcher := online(t, s, "dn2", "w")
	for name, enter := range entrances() {
		t.Run(name, func(t *testing.T) {
			old := enter(t, s, "dn1", "store")
			old.Send("<presence/>")
			old.Sync()
			watcher.Want("from='dn1@" + domain + "/store'")
			now := enter(t, s, "dn1", "store")
			if got := old.Rest(); !strings.Contains(got, "<conflict ") {
				t.Fatalf("the old stream ended with %q", got)
			}
			now.Send("<presence><status>new</status></presence>")
			now.Sync()
			// The old one's end must not come behind the new one's presence.
			if got := watcher.Want("<status>new</status>"); !strings.Contains(got, "unavailable") {
				t.Fatalf("the old session's end was not announced: %q", got)
			}
			watcher.Send(xmppraw.Message(now.JID, "hello"))
			now.Want("hello")
			if more := watcher.Sync(); strings.Contains(more, "unavailable") {
				t.Fatalf("the new session was declared unavailable: %q", more)
			}
		})
	}
}

func TestBindErrors(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	c.Auth(sasl.ScramSha256, "alice", password)
	c.Open()
	c.Send("<iq type='set' id='long'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + strings.Repeat("x", 2000) + "</resource></bind></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "id='long'") || !strings.Contains(got, "type='error'") || !strings.Contains(got, "<bad-request ") {
		t.Fatalf("answer to a resource that is too long: %q", got)
	}
	c.Send("<iq type='set' id='b2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "<jid>alice@"+domain+"/") {
		t.Fatalf("binding without a wish: %q", got)
	}
	c.Send("<iq type='set' id='b3'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "id='b3'") || !strings.Contains(got, "type='cancel'") || !strings.Contains(got, "<not-allowed ") {
		t.Fatalf("second binding: %q", got)
	}
	c.Send("<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
	if got := c.Want("id='s1'"); !strings.Contains(got, "type='result'") {
		t.Fatalf("session of RFC 3921: %q", got)
	}
	c.Sync() // nothing of this has harmed the stream
}

func TestShutdown(t *testing.T) {
	s := startServer(t, options{})
	bound := online(t, s, "alice", "a")
	addr, _, _ := s.Addrs()
	fresh := connect(t, addr)
	fresh.Open()
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	for _, c := range []*client{bound, fresh} {
		if got := c.Rest(); !strings.Contains(got, "<system-shutdown ") || !strings.HasSuffix(got, "</stream:stream>") {
			t.Errorf("told at shutdown: %q", got)
		}
		_ = c.Conn.Close()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > patience {
		t.Errorf("took %v", d)
	}
}

// connectAndAuth tries to log in and returns what came of it.
func connectAndAuth(t *testing.T, s *xmppd.Server, user string) string {
	t.Helper()
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	return c.Auth(sasl.ScramSha256, user, password)
}
