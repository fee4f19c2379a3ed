package xmppd_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// TestHostileBeforeLogin sends things that must cost the sender its stream.
func TestHostileBeforeLogin(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.NegotiationSeconds = 2 }})
	addr, _, _ := s.Addrs()
	witness := online(t, s, "alice", "witness")
	sasl := "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
	tests := []struct{ name, send, want string }{
		{"no XML", "GET / HTTP/1.1\r\n\r\n", "<not-well-formed "},
		{"DTD", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>" + header, "<restricted-xml "},
		{"comment before the stream", "<!-- x -->" + header, "<restricted-xml "},
		{"processing instruction", "<?php x?>" + header, "<restricted-xml "},
		{"other encoding", strings.Replace(header, "version='1.0'?", "version='1.0' encoding='iso-8859-1'?", 1), "<unsupported-encoding "},
		{"endless header", "<stream:stream x='" + strings.Repeat("x", 100_000), "<policy-violation "},
		{"endless white space", strings.Repeat(" ", 100_000), "<policy-violation "},
		{"broken header", "<stream:stream to='a' to='b' <>", "<not-well-formed "},
		{"other domain", strings.Replace(header, domain, "example.com", 1), "<host-unknown "},
		{"no domain", strings.Replace(header, "to='"+domain+"'", "", 1), "<host-unknown "},
		{"bad domain", strings.Replace(header, domain, "a@@b", 1), "<improper-addressing "},
		{"other stream namespace", strings.Replace(header, "etherx.jabber.org", "example.net", 1), "<invalid-namespace "},
		{"other content namespace", strings.Replace(header, "jabber:client", "jabber:server", 1), "<invalid-namespace "},
		{"no stream", strings.Replace(header, "<stream:stream", "<stream:strm", 1), "<bad-format "},
		{"other prefix", strings.ReplaceAll(strings.ReplaceAll(header, "stream:stream", "s:stream"), "xmlns:stream", "xmlns:s"), "<bad-namespace-prefix "},
		{"version 0.9", strings.Replace(header, " version='1.0'>", " version='0.9'>", 1), "<unsupported-version "},
		{"no version", strings.Replace(header, " version='1.0'>", ">", 1), "<unsupported-version "},
		{"message before login", header + "<message to='alice@" + domain + "/witness'><body>spam</body></message>", "<not-authorized "},
		{"bind before login", header + "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "<not-authorized "},
		{"registration that is closed", header + "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>x</username><password>y</password></query></iq></stream:stream>", "<not-allowed "},
		{"malformed element", header + "<auth></response>", "<not-well-formed "},
		{"response without auth", header + "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></stream:stream>", "<malformed-request/>"},
		{"abort", header + "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></stream:stream>", "<aborted/>"},
		{"unknown mechanism", header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-OWN'/></stream:stream>", "<invalid-mechanism/>"},
		{"no base64", header + sasl + "!!!</auth></stream:stream>", "<incorrect-encoding/>"},
		{"PLAIN without NULs", header + sasl + "YWxpY2U=</auth></stream:stream>", "<malformed-request/>"},
		{"acting for another user", header + sasl + "Ym9iQGV4YW1wbGUubmV0AGFsaWNlAHBlbmNpbA==</auth></stream:stream>", "<invalid-authzid/>"},
		{"three wrong passwords", header + strings.Repeat(sasl+"AGFsaWNlAHdyb25n</auth>", 3), "<policy-violation "},
		{"too much before login", header + sasl + strings.Repeat("A", 100_000) + "</auth>", "<policy-violation "},
		{"deep nesting", header + strings.Repeat("<a>", 1000), "<policy-violation "},
		{"half a header", "<stream:stream to='", "<connection-timeout "},
		{"silence", "", "<connection-timeout "},
		{"half an element", header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' ", "<connection-timeout "},
		{"data behind starttls", header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message/>", "<policy-violation "},
		{"data behind white space behind starttls", header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n<message/>", "<policy-violation "},
		{"TLS behind starttls at once", header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n\x16\x03\x01", "<policy-violation "},
		{"endless white space for TLS", header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + strings.Repeat("\n", 100_000), "<proceed "},
		{"no TLS behind starttls", header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, addr)
			c.trySend(tt.send)
			got := c.rest()
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %s", got, tt.want)
			}
			if !strings.HasPrefix(got, "<?xml version='1.0'?><stream:stream ") || !strings.Contains(tt.want, "proceed") && !strings.HasSuffix(got, "</stream:stream>") {
				t.Errorf("no whole stream: %q", got)
			}
		})
	}
	t.Cleanup(func() {
		if got := witness.sync(); strings.Contains(got, "spam") {
			t.Errorf("somebody got through without login: %q", got)
		}
	})
}

// TestSlowDrip checks that a byte now and then doesn't keep a connection in negotiation.
func TestSlowDrip(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.NegotiationSeconds = 1 }})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	done := make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(done)
		for i := range len(header) {
			if _, err := io.WriteString(c.conn, header[i:i+1]); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // the attack itself
		}
	}()
	got := c.rest()
	_ = c.conn.Close()
	<-done
	if !strings.Contains(got, "<connection-timeout ") || time.Since(begin) > patience/2 {
		t.Errorf("after %v: %q", time.Since(begin), got)
	}
}

func TestHostileAfterLogin(t *testing.T) {
	s := startServer(t, options{})
	witness := online(t, s, "alice", "witness")
	tests := []struct{ name, send, want string }{
		{"comment", "<message><!-- x --></message>", "<restricted-xml "},
		{"processing instruction", "<?x y?>", "<restricted-xml "},
		{"DTD", "<!DOCTYPE x>", "<restricted-xml "},
		{"entity", message("alice@"+domain, "&lol;"), "<restricted-xml "},
		{"unbalanced", "<message><a></message>", "<not-well-formed "},
		{"end tag only", "</message>", "<not-well-formed "},
		{"text between stanzas", "hello", "-"},
		{"invalid UTF-8", message("alice@"+domain, "\xff\xfe"), "-"},
		{"surrogate", message("alice@"+domain, "&#xD800;"), "-"},
		{"NUL", message("alice@"+domain, "\x00"), "<not-well-formed "},
		{"undeclared prefix", "<x:message/>", "<bad-namespace-prefix "},
		{"attribute twice", "<message to='a' to='b'/>", "<not-well-formed "},
		{"20,000 levels", "<message>" + strings.Repeat("<a>", 20_000), "<policy-violation "},
		{"1,000 attributes", "<message " + manyAttributes(1000) + "/>", "<policy-violation "},
		{"endless name", "<" + strings.Repeat("a", 300_000), "<policy-violation "},
		{"endless attribute", "<message to='" + strings.Repeat("a", 300_000), "<policy-violation "},
		{"endless body", message("alice@"+domain, strings.Repeat("a", 300_000)), "<policy-violation "},
		{"second stream", header, "-"},
		{"SASL again", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", "<unsupported-stanza-type "},
		{"unknown element", "<foo xmlns='bar'/>", "<unsupported-stanza-type "},
		{"wrong namespace", "<message xmlns='jabber:server' to='alice@" + domain + "/witness'/>", "<unsupported-stanza-type "},
		{"spoofed from", "<message from='bob@" + domain + "' to='alice@" + domain + "/witness'><body>spoof</body></message>", "<invalid-from "},
		{"spoofed resource", "<message from='carol@" + domain + "/other' to='alice@" + domain + "/witness'><body>spoof</body></message>", "<invalid-from "},
		{"malformed from", "<message from='@@' to='alice@" + domain + "/witness'><body>spoof</body></message>", "<invalid-from "},
		{"stream error", "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "</stream:stream>"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, enter := range entrances() {
				c := enter(t, s, "carol", strings.Repeat("r", i+1)+tt.name[:1])
				c.trySend(tt.send)
				got := c.rest()
				if tt.want != "-" && !strings.Contains(got, tt.want) || !strings.HasSuffix(got, "</stream:stream>") {
					t.Errorf("got %q, want %s", got, tt.want)
				}
				if tt.want == "-" && !strings.Contains(got, "<stream:error>") {
					t.Errorf("got %q, want a stream error", got)
				}
			}
		})
	}
	t.Cleanup(func() {
		if got := witness.sync(); strings.Contains(got, "spoof") {
			t.Errorf("a spoofed stanza came through: %q", got)
		}
	})
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i%50) + strings.Repeat("c", i/50) + "='1'")
	}
	return b.String()
}

// spoof reports whether a stanza with another's address arrives.
func spoof(t *testing.T, f router.Faults) bool {
	s := startServer(t, options{router: f})
	victim := online(t, s, "alice", "a")
	c := login(t, s, "carol", "c")
	c.trySend("<message from='bob@" + domain + "/b' to='" + victim.jid + "' type='chat'><body>it's me, bob</body></message>")
	c.trySend("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.want("id='p'", "</stream:stream>")
	return strings.Contains(victim.sync(), "from='bob@")
}

func TestSpoofedFrom(t *testing.T) {
	if spoof(t, router.Faults{}) {
		t.Error("a spoofed from came through")
	}
	if !spoof(t, router.Faults{TrustFrom: true}) {
		t.Error("the planted bug was not noticed")
	}
}

func TestConnectionLimit(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.Connections, c.ListenHTTP = 3, "127.0.0.1:0" }})
	addr, _, web := s.Addrs()
	first := online(t, s, "alice", "a")
	connect(t, addr).open()
	connect(t, addr).open()
	if got := connect(t, addr).rest(); got != "" {
		t.Errorf("the fourth connection got %q", got)
	}
	first.sync()
	resp, err := http.Get("http://" + web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || !strings.Contains(string(body), "xmppd_connections_refused_total 1") || !strings.Contains(string(body), "xmppd_sessions 1") {
		t.Errorf("metrics: %v\n%s", err, body)
	}
}

// TestBytesAhead sends a whole login in one packet: what was read ahead must not be lost when the
// stream changes hands.
func TestBytesAhead(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.send(header + " <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHBlbmNpbA==</auth>\n" +
		header + "\n<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>\n" +
		"<presence/>" + strings.Repeat(message("alice@"+domain+"/r", "to myself"), 50) + "</stream:stream>")
	got := c.rest()
	if n := strings.Count(got, "to myself"); n != 50 {
		t.Errorf("%d of 50 messages came back; got %.1000q", n, got)
	}
}

func TestWhiteSpaceKeepAlive(t *testing.T) {
	s := startServer(t, options{})
	for _, enter := range entrances() {
		c := enter(t, s, "alice", "a")
		for range 10 {
			c.send(" \n")
		}
		c.sync()
	}
}
