package xmppd_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/im"
)

// flood sends 1,000 presences at a rate limit of 600 a minute, and reports how many of them another
// session of the account got, and whether the last was among them in the time given.
func flood(t *testing.T, f im.Faults, wait time.Duration) (got int, last bool, s *xmppd.Server) {
	t.Helper()
	s = startServer(t, options{im: f, cfg: func(c *xmppd.Config) {
		c.ListenHTTP, c.Presence.PerMinute = "127.0.0.1:0", 600
	}})
	watcher := online(t, s, "alice", "watcher")
	a := login(t, s, "alice", "a")
	var all strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&all, "<presence><status>%03d</status></presence>", i)
	}
	a.Send(all.String())
	a.Sync()
	seen := ""
	for end := time.Now().Add(wait); time.Now().Before(end) && !last; {
		seen += watcher.Sync()
		last = strings.Contains(seen, "<status>999</status>")
	}
	if last {
		// Nothing is owed any more, and going off line needs no permission.
		a.Send("<presence type='unavailable'/>")
		a.Sync()
		has(t, "going off line", watcher.Sync(), "from='"+a.JID+"' type='unavailable'")
	}
	return strings.Count(seen, "<status>"), last, s
}

// TestPresenceRate: presence that comes too fast is left out, but not the last one.
func TestPresenceRate(t *testing.T) {
	got, last, s := flood(t, im.Faults{}, patience)
	if got < 600 || got > 900 || !last {
		t.Errorf("%d of 1,000 presences came, the last: %v", got, last)
	}
	_, _, addr := s.Addrs()
	resp, err := http.Get("http://" + addr + "/metrics") //nolint:noctx // bounded by the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	hasNot(t, "metrics", string(text), "xmppd_presence_late_total 0")
	has(t, "metrics", string(text), "xmppd_presence_late_total ")
	if _, last, _ := flood(t, im.Faults{LoseLate: true}, time.Second); last {
		t.Error("the planted bug was not noticed")
	}
}

// TestPresenceRateSparesGroups: accounts with a shared group have no limit.
func TestPresenceRateSparesGroups(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Presence.PerMinute = 1 }})
	dn1, dn2 := online(t, s, "dn1", "a"), online(t, s, "dn2", "a")
	dn1.Send("<presence><status>1</status></presence><presence><status>2</status></presence>")
	dn1.Sync()
	has(t, "another member", dn2.Sync(), "<status>1</status>", "<status>2</status>")
}

// TestDirectedPresenceLimit: so many addresses, and no more until some are given back.
func TestDirectedPresenceLimit(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.DirectedPresence = 2 }})
	a := login(t, s, "alice", "a")
	for _, tt := range []struct{ to, typ, want string }{
		{"a", "", ""},
		{"b", "", ""},
		{"c", "", "<resource-constraint "},
		{"a", "", ""},
		{"b", "unavailable", ""},
		{"c", "", ""},
		{"d", "", "<resource-constraint "},
	} {
		typ := ""
		if tt.typ != "" {
			typ = " type='" + tt.typ + "'"
		}
		a.Send("<presence to='" + tt.to + "@" + domain + "'" + typ + "/>")
		if got := a.Sync(); strings.Contains(got, "<resource-constraint ") != (tt.want != "") {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// TestSubscriptionRequestsAreBounded: neither the sender's roster nor the requests that wait for an
// account grow without end.
func TestSubscriptionRequestsAreBounded(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.Limits.RosterItems = 3
		c.ListenComponent = "127.0.0.1:0"
		c.Components = []xmppd.ComponentConfig{{Name: gateway, Secret: "s3cret"}}
	}})
	a := login(t, s, "alice", "a")
	roster(a)
	for i := range 5 {
		a.Send(fmt.Sprintf("<presence type='subscribe' to='x%d@%s'/>", i, domain))
	}
	if got := a.Sync(); strings.Count(got, "<resource-constraint ") != 2 {
		t.Errorf("five requests of three: %q", got)
	}
	g := loginComponent(t, s)
	for i := range 8 {
		g.Send(fmt.Sprintf("<presence type='subscribe' from='x%d@%s' to='bob@%s'/>", i, gateway, domain))
	}
	g.Send("<iq type='get' id='sync' from='" + gateway + "' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	if got := g.Want("id='sync'"); strings.Count(got, "type='unsubscribed'") != 2 {
		t.Errorf("eight requests of six: %q", got)
	}
}

// TestPresencePolicyReloads: a policy read again binds the sessions that are there.
func TestPresencePolicyReloads(t *testing.T) {
	var cfg xmppd.Config
	s := startServer(t, options{cfg: func(c *xmppd.Config) { cfg = *c }})
	a := login(t, s, "alice", "a")
	a.Send("<presence to='bob@" + domain + "'/>")
	hasNot(t, "directed presence", a.Sync(), "<policy-violation ")
	cfg.Presence.Directed = false
	if err := s.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	a.Send("<presence to='bob@" + domain + "'/>")
	has(t, "directed presence, switched off", a.Sync(), "<policy-violation ")
}
