package hostile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// befriend subscribes carol to mallory's presence.
func befriend(t *testing.T, s *xmppd.Server) (carol, mallory *xmppraw.Client) {
	t.Helper()
	carol, mallory = xmppraw.Online(t, s, "carol", "victim"), xmppraw.Online(t, s, "mallory", "r")
	carol.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>") // to be told of changes
	carol.Send("<presence type='subscribe' to='mallory@" + xmppraw.Domain + "'/>")
	mallory.Want("type='subscribe'")
	mallory.Send("<presence type='subscribed' to='carol@" + xmppraw.Domain + "'/>")
	carol.Want("type='subscribed'")
	carol.Sync()
	mallory.Sync()
	return carol, mallory
}

// TestPresenceStorm: thousands of presences go through in order to those who want them, and nobody
// else has to wait.
func TestPresenceStorm(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	carol, mallory := befriend(t, s)
	const storm = 3000
	grew := growth(func() {
		for i := range storm {
			mallory.Send(fmt.Sprintf("<presence><status>%d</status></presence>", i))
			if i%100 == 99 {
				carol.Want(fmt.Sprintf("<status>%d</status>", i)) // both have been handled so far
				mallory.Want(fmt.Sprintf("<status>%d</status>", i))
			}
		}
		by.goOn(t, 5)
	})
	if grew > 32*mib {
		t.Errorf("the heap grew by %d bytes", grew)
	}
}

// TestMessageFlood: many sessions that send as fast as they can are read no faster than the limits
// say, hold up nobody, and lose nothing.
func TestMessageFlood(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) {
		c.Limits.StanzasPerSecond, c.Limits.AccountStanzasPerSecond, c.Limits.BurstSeconds = 500, 1000, 1
	})
	by := chat(t, s)
	const senders, each = 10, 200
	carol := xmppraw.Login(t, s, "carol", "victim")
	flood := strings.Repeat(xmppraw.Message(victim, "flood"), each)
	grew := growth(func() {
		var clients []*xmppraw.Client
		for i := range senders {
			clients = append(clients, bound(t, s, fmt.Sprint("r", i)))
		}
		for _, c := range clients {
			go func() { _ = c.TrySend(flood) }()
		}
		by.goOn(t, 50)
		for range senders * each {
			carol.Want("<body>flood</body></message>")
		}
		for _, c := range clients {
			if got := c.Sync(); got != "" {
				t.Errorf("a sender got %.200q", got)
			}
		}
	})
	if grew > 32*mib {
		t.Errorf("the heap grew by %d bytes", grew)
	}
}

// TestDirectedPresenceFlood: who has been sent presence directly is remembered, so it is limited.
func TestDirectedPresenceFlood(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.DirectedPresence = 50 })
	by := chat(t, s)
	c := xmppraw.Login(t, s, "mallory", "r")
	refused := 0
	for i := range 200 {
		c.Send(fmt.Sprintf("<presence to='nobody%d@%s/x' id='%d'/>", i, xmppraw.Domain, i))
	}
	refused = strings.Count(c.Sync(), "<resource-constraint ")
	if refused != 150 {
		t.Errorf("%d of 200 were refused, want 150", refused)
	}
	by.goOn(t, 1)
}

// TestLargeRequests: what comes with a subscription request is not kept beyond a few KiB.
func TestLargeRequests(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	mallory := xmppraw.Login(t, s, "mallory", "r")
	large := strings.Repeat("a", 200_000)
	for range 20 {
		mallory.Send("<presence type='subscribe' to='carol@" + xmppraw.Domain + "'><status>" + large + "</status></presence>")
	}
	mallory.Sync()
	carol := xmppraw.Online(t, s, "carol", "victim")
	if got := carol.Sync(); len(got) > 10_000 {
		t.Errorf("%d bytes of requests were kept", len(got))
	}
	by.goOn(t, 1)
}

// TestDoubleBinding: a resource that is bound over and over has one session, the newest.
func TestDoubleBinding(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	var last *xmppraw.Client
	for range 50 {
		c := xmppraw.Online(t, s, "mallory", "same")
		if last != nil {
			judge(t, last, "conflict")
		}
		last = c
	}
	carol := xmppraw.Login(t, s, "carol", "c")
	carol.Send(xmppraw.Message(last.JID, "you"))
	last.Want("<body>you</body>")
	by.goOn(t, 1)
}

// TestHalfClosed: a client that closes its half of the connection has ended its session, also in
// the middle of a stanza, and those who follow its presence are told.
func TestHalfClosed(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	carol, _ := befriend(t, s)
	for i, rest := range []string{"", "<message to='", "<message><body>", "<presence", "<message>\xe2\x82"} {
		name := fmt.Sprint("half", i)
		c := xmppraw.Online(t, s, "mallory", name)
		carol.Want("/" + name + "'")
		c.Send(rest)
		if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		carol.Want("/" + name + "' type='unavailable'")
		if got := c.Rest(); strings.Contains(got, "error") {
			t.Errorf("%q and a half close: %q", rest, got)
		}
	}
	by.goOn(t, 1)
}
