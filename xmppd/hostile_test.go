package xmppd_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// spoof reports whether a stanza with another's address arrives.
func spoof(t *testing.T, f router.Faults) bool {
	s := startServer(t, options{router: f})
	victim := online(t, s, "alice", "a")
	c := login(t, s, "carol", "c")
	c.TrySend("<message from='bob@" + domain + "/b' to='" + victim.JID + "' type='chat'><body>it's me, bob</body></message>")
	c.TrySend("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.Want("id='p'", "</stream:stream>")
	return strings.Contains(victim.Sync(), "from='bob@")
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
	connect(t, addr).Open()
	connect(t, addr).Open()
	if got := connect(t, addr).Rest(); got != "" {
		t.Errorf("the fourth connection got %q", got)
	}
	first.Sync()
	resp, err := http.Get("http://" + web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || !strings.Contains(string(body), "xmppd_connections_refused_total{limit=\"total\"} 1") || !strings.Contains(string(body), "xmppd_sessions 1") {
		t.Errorf("metrics: %v\n%s", err, body)
	}
}

// TestBytesAhead sends a whole login in one packet: what was read ahead must not be lost when the
// stream changes hands.
func TestBytesAhead(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Send(header + " <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHBlbmNpbA==</auth>\n" +
		header + "\n<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>\n" +
		"<presence/>" + strings.Repeat(xmppraw.Message("alice@"+domain+"/r", "to myself"), 50) + "</stream:stream>")
	got := c.Rest()
	if n := strings.Count(got, "to myself"); n != 50 {
		t.Errorf("%d of 50 messages came back; got %.1000q", n, got)
	}
}

func TestWhiteSpaceKeepAlive(t *testing.T) {
	s := startServer(t, options{})
	for _, enter := range entrances() {
		c := enter(t, s, "alice", "a")
		for range 10 {
			c.Send(" \n")
		}
		c.Sync()
	}
}
