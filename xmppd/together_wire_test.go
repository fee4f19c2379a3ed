package xmppd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
)

// at logs in at one of the servers, with available presence, and waits until all know.
func (x *trio) at(t *testing.T, server int, user, resource string) *client {
	t.Helper()
	c := online(t, x.servers[server], user, resource)
	x.quiet(t)
	return c
}

func TestChatTogether(t *testing.T) {
	for name, cache := range map[string]int{"with redirects": 0, "without": -1} {
		t.Run(name, func(t *testing.T) {
			x := startTrio(t, trioOptions{own: xmppd.Together{Cache: cache}})
			a, b := x.at(t, 0, "alice", "a"), x.at(t, 1, "bob", "b")
			var want strings.Builder
			for i := range 100 {
				to := "bob@" + domain
				if i%2 == 0 {
					to += "/b"
				}
				a.Send(fmt.Sprintf("<message to='%s' type='chat' id='%d'><body>m%d</body></message>", to, i, i))
				fmt.Fprintf(&want, "m%d ", i)
			}
			b.Want("m99<")
			a.Send("<iq type='get' id='v' to='bob@" + domain + "/b'><query xmlns='jabber:iq:version'/></iq>")
			b.Want("jabber:iq:version")
			b.Send("<iq type='result' id='v' to='alice@" + domain + "/a'/>")
			a.Want("id='v'")
			a.Send("<iq type='get' id='w' to='bob@" + domain + "/gone'><query xmlns='jabber:iq:version'/></iq>")
			a.Want("service-unavailable")
		})
	}
}

// TestLocalChatStaysLocal: no frame with a stanza passes between the servers.
func TestLocalChatStaysLocal(t *testing.T) {
	x := startTrio(t, trioOptions{})
	a, b := x.at(t, 0, "alice", "a"), x.at(t, 0, "bob", "b")
	before := x.servers[0].Exchange().Counts().Hops.Load()
	for i := range 20 {
		a.Send(fmt.Sprintf("<message to='bob@%s' type='chat'><body>m%d</body></message>", domain, i))
	}
	b.Want("m19<")
	if now := x.servers[0].Exchange().Counts().Hops.Load(); now != before {
		t.Errorf("%d stanzas went to other servers", now-before)
	}
}

// TestOfflineTogether: what is kept by one server is delivered by another, once.
func TestOfflineTogether(t *testing.T) {
	x := startTrio(t, trioOptions{})
	a := x.at(t, 0, "alice", "a")
	for i := range 5 {
		a.Send(fmt.Sprintf("<message to='bob@%s' type='chat'><body>m%d</body></message>", domain, i))
	}
	a.Sync()
	x.quiet(t)
	b := login(t, x.servers[2], "bob", "b")
	b.Send("<presence/>")
	got := b.Want("m4<")
	for i := range 4 {
		if strings.Count(got, fmt.Sprintf("m%d<", i)) != 1 {
			t.Errorf("m%d: %s", i, got)
		}
	}
	x.quiet(t)
	if rest := b.Sync(); strings.Contains(rest, "<message") {
		t.Errorf("came again: %s", rest)
	}
}

func TestConflictTogether(t *testing.T) {
	x := startTrio(t, trioOptions{})
	old := x.at(t, 0, "bob", "b")
	now := x.at(t, 1, "bob", "b")
	old.Want("<conflict")
	x.quiet(t)
	a := x.at(t, 2, "alice", "a")
	a.Send("<message to='bob@" + domain + "/b' type='chat'><body>hello</body></message>")
	now.Want("hello")
}

// TestConflictNoticesFaults: where nobody is told, a resource has two sessions.
func TestConflictNoticesFaults(t *testing.T) {
	x := startTrio(t, trioOptions{own: xmppd.Together{Exchange: exchange.Faults{KeepBoth: true}}, shared: true})
	old := x.at(t, 0, "bob", "b")
	x.at(t, 1, "bob", "b")
	x.quiet(t)
	if got := old.Sync(); strings.Contains(got, "<conflict") {
		t.Errorf("the planted bug is not noticed: %s", got)
	}
}

func TestCarbonsTogether(t *testing.T) {
	x := startTrio(t, trioOptions{})
	a := x.at(t, 0, "alice", "a")
	b1, b2 := x.at(t, 1, "bob", "b1"), x.at(t, 2, "bob", "b2")
	b2.Send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	b2.Want("id='c'")
	a.Send("<message to='bob@" + domain + "/b1' type='chat'><body>to one</body></message>")
	b1.Want("to one")
	b2.Want("<received xmlns='urn:xmpp:carbons:2'>")
	b2.Want("to one")
	b1.Send("<message to='alice@" + domain + "/a' type='chat'><body>from one</body></message>")
	a.Want("from one")
	b2.Want("<sent xmlns='urn:xmpp:carbons:2'>")
	b2.Want("from one")
}

// broken is a network whose third server can be cut off.
type broken struct {
	mu   sync.Mutex
	far  string // its address while it is cut off
	x    *trio
	cuts bool
}

func (n *broken) options() trioOptions {
	return trioOptions{
		own: xmppd.Together{}, shared: true,
		perServer: func(name string, own *xmppd.Together) {
			own.Links.Silence, own.Links.Doubt = 3*time.Second, time.Second // a slow machine is not dead
			own.Cut = func(addr string) bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				return n.cuts && (name == "x3" || addr == n.far)
			}
		},
	}
}

func (n *broken) set(cut bool) {
	n.mu.Lock()
	n.cuts, n.far = cut, n.x.servers[2].Node().Addr()
	n.mu.Unlock()
}

// partition cuts off the server of one of two members of a group, and returns what the other one has
// got until the network is whole again.
func partition(t *testing.T, f exchange.Faults) (d1 *client, during, after string) {
	t.Helper()
	n := new(broken)
	o := n.options()
	o.own.Exchange = f
	n.x = startTrio(t, o)
	x := n.x
	d1 = x.at(t, 0, "dn1", "a")
	d2 := x.at(t, 2, "dn2", "b")
	d1.Want("from='dn2@" + domain + "/b'")
	n.set(true)
	alone := func(s *xmppd.Server) bool { return len(s.Node().Mesh().Connected()) == 0 }
	eventually(t, "the third is cut off", func() bool {
		return alone(x.servers[2]) && len(x.servers[0].Node().Mesh().Connected()) == 1
	})
	eventually(t, "who was there is told to be gone", func() bool {
		during += d1.Sync()
		return f.NoTeardown || strings.Contains(during, "unavailable")
	})
	n.set(false)
	x.whole(t)
	d2.Send("<message to='dn1@" + domain + "/a' type='chat'><body>again</body></message>")
	eventually(t, "who is there again is told, and can be heard", func() bool {
		after += d1.Sync()
		return strings.Contains(after, "again") && (f.NoGreeting || strings.Contains(after, "<presence"))
	})
	return d1, during, after
}

// TestPartitionTogether: who is cut off is gone for the others, once, and is back when the network is.
func TestPartitionTogether(t *testing.T) {
	_, during, after := partition(t, exchange.Faults{})
	if strings.Count(during, "type='unavailable'") != 1 {
		t.Errorf("while it was cut off: %s", during)
	}
	if !strings.Contains(after, "<presence") || strings.Contains(after, "unavailable") {
		t.Errorf("when it was back: %s", after)
	}
}

func TestPartitionNoticesFaults(t *testing.T) {
	if _, during, _ := partition(t, exchange.Faults{NoTeardown: true}); strings.Contains(during, "unavailable") {
		t.Error("without a teardown somebody is told all the same")
	}
	if _, _, after := partition(t, exchange.Faults{NoGreeting: true}); strings.Contains(after, "<presence") {
		t.Errorf("without a greeting: %s", after)
	}
}
