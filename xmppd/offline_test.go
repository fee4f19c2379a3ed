package xmppd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// TestOffline: what comes while nobody is on line is delivered once, in order and marked, to the
// first session that is, also after a restart.
func TestOffline(t *testing.T) {
	dir := t.TempDir()
	o := options{cfg: func(c *xmppd.Config) { c.Data = dir }}
	s := startServer(t, o)
	alice := online(t, s, "alice", "a")
	login(t, s, "carol", "deaf") // bound, but not available
	for i := range 300 {
		alice.Send(fmt.Sprintf("<message type='chat' to='carol@%s' id='m%d'><body>%s</body></message>", domain, i, strings.Repeat("x", i)))
	}
	if got := alice.Sync(); strings.Contains(got, "error") {
		t.Fatalf("the sender got %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = serve(t, o)
	carol := login(t, s, "carol", "1")
	carol.Send("<presence/>")
	for i := range 300 {
		got := carol.Want("</message>")
		if !strings.Contains(got, fmt.Sprintf(" id='m%d'", i)) || !strings.Contains(got, "<delay xmlns='urn:xmpp:delay' from='"+domain+"' stamp='") || !strings.Contains(got, " from='alice@"+domain+"/a'") {
			t.Fatalf("message %d: %s", i, got)
		}
	}
	for _, c := range []*client{online(t, s, "carol", "2"), carol} {
		c.Send("<presence><priority>-1</priority></presence><presence/>")
		if got := c.Sync(); strings.Contains(got, "<message") {
			t.Errorf("delivered again: %s", got)
		}
	}
}

// TestOfflineRace: of two sessions that come on line at once each message reaches one.
func TestOfflineRace(t *testing.T) {
	s := startServer(t, options{})
	alice := online(t, s, "alice", "a")
	const n = 250
	for round := range 3 {
		for i := range n {
			alice.Send(xmppraw.Message("carol@"+domain, fmt.Sprintf("b%d.", i)))
		}
		alice.Sync()
		one, two := login(t, s, "carol", "1"), login(t, s, "carol", "2")
		var wg sync.WaitGroup
		for _, c := range []*client{one, two} {
			wg.Go(func() { c.TrySend("<presence/>") })
		}
		wg.Wait()
		got := ""
		for end := time.Now().Add(patience); strings.Count(got, "</message>") < n && time.Now().Before(end); {
			got += one.Sync() + two.Sync()
		}
		got += one.Sync() + two.Sync()
		for i := range n {
			if c := strings.Count(got, fmt.Sprintf(">b%d.<", i)); c != 1 {
				t.Fatalf("round %d: message %d came %d times", round, i, c)
			}
		}
		one.Send("</stream:stream>")
		one.Rest()
		two.Send("</stream:stream>")
		two.Rest()
	}
}

func TestOfflineRefuses(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.Offline.Messages = 2 }})
	alice := online(t, s, "alice", "a")
	for i, want := range []string{"", "", "service-unavailable"} {
		alice.Send(xmppraw.Message("carol@"+domain, "x"))
		if got := alice.Sync(); strings.Contains(got, "type='error'") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("message %d: %s", i, got)
		}
	}
	alice.Send("<iq type='get' id='1' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	if got := alice.Sync(); !strings.Contains(got, "<feature var='msgoffline'/>") {
		t.Errorf("not announced: %s", got)
	}
	// Off: as before.
	s = startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.Disable = []string{"offline"} }})
	alice = online(t, s, "alice", "a")
	alice.Send(xmppraw.Message("carol@"+domain, "x"))
	if got := alice.Sync(); !strings.Contains(got, "service-unavailable") {
		t.Errorf("switched off: %s", got)
	}
}

// TestOfflineAfterDeath: messages queued for a session that dies are kept, and those of the data
// plane go back to their senders.
func TestOfflineAfterDeath(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.QueueBytes = 64 << 10 }})
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	body := strings.Repeat("x", 10_000)
	sent := 0
	for ended := false; !ended; sent++ {
		if sent == 3000 {
			t.Fatal("the queue takes everything")
		}
		alice.Send(fmt.Sprintf("<message type='chat' to='bob@%s' id='m%d'><body>%s</body></message>", domain, sent, body))
		alice.Send("<message to='" + bob.JID + "' id='d'><op xmlns='urn:x'/><no-store xmlns='urn:xmpp:hints'/></message>")
		ended = strings.Contains(alice.Sync(), "type='error' id='d'")
	}
	bob.MayCut = true
	got := ids(bob.Rest())
	again := login(t, s, "bob", "b2")
	again.Send("<presence/>")
	for end := time.Now().Add(patience); len(got) < sent && time.Now().Before(end); {
		got = append(got, ids(again.Sync())...)
	}
	seen := map[string]int{}
	for _, id := range got {
		seen[id]++
	}
	for i := range sent {
		if n := seen[fmt.Sprintf("m%d", i)]; n != 1 {
			t.Errorf("message %d of %d came %d times", i, sent, n)
		}
	}
}

// TestOfflineUnacknowledged: what a client with stream management has not acknowledged is kept, and
// what it has is not.
func TestOfflineUnacknowledged(t *testing.T) {
	s := startServer(t, options{})
	alice := online(t, s, "alice", "a")
	first := online(t, s, "carol", "0")
	befriend(t, alice, first)
	first.Send("</stream:stream>")
	first.Rest()
	alice.Want("type='unavailable'")
	for i := range 4 {
		alice.Send(xmppraw.Message("carol@"+domain, fmt.Sprint(i)))
	}
	alice.Sync()
	carol := enable(login(t, s, "carol", "1"), "max='1'")
	carol.Send("<presence/>")
	carol.Want("<body>3</body>")
	alice.Send(xmppraw.Message("carol@"+domain, "4"))
	carol.Want("<body>4</body>")
	carol.Send("<a xmlns='" + nsSM + "' h='4'/>") // two of presence, "0", "1"
	carol.Sync()
	_ = carol.Conn.Close()
	alice.Want("type='unavailable'")
	next := login(t, s, "carol", "2")
	next.Send("<presence/>")
	got := next.Want("<body>4</body>")
	for i, want := range []int{0, 0, 1, 1, 1} {
		if n := strings.Count(got, fmt.Sprintf("<body>%d</body>", i)); n != want {
			t.Errorf("message %d came %d times: %s", i, n, got)
		}
	}
	if got := online(t, s, "carol", "3").Sync(); strings.Contains(got, "<message") {
		t.Errorf("came again: %s", got)
	}
}

// ids are those of the whole chat messages in what a client has got.
func ids(got string) (out []string) {
	for part := range strings.SplitAfterSeq(got, "</message>") {
		_, msg, ok := strings.Cut(part, " type='chat'")
		if _, id, found := strings.Cut(msg, " id='"); ok && found && strings.HasSuffix(msg, "</message>") {
			id, _, _ = strings.Cut(id, "'")
			out = append(out, id)
		}
	}
	return out
}
