package xmppd_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// slow is a configuration in which one session may send 20 stanzas a second.
func slow(c *xmppd.Config) {
	c.ListenHTTP = "127.0.0.1:0"
	c.Limits.StanzasPerSecond, c.Limits.BurstSeconds = 20, 1
}

// counter is the value of a metric.
func counter(t *testing.T, s *xmppd.Server, name string) int {
	t.Helper()
	for line := range strings.Lines(metrics(t, s)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// sendMany sends n messages to a full JID at once.
func sendMany(c *client, to string, n, size int) {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<message to='%s' type='chat' id='%d'><body>%s</body></message>", to, i, strings.Repeat("x", size))
	}
	c.Send(b.String())
}

// arrival is how long it takes until message n-1 of a flood is there, which shows that all are.
func arrival(t *testing.T, from, to *client, n, size int) time.Duration {
	t.Helper()
	begin := time.Now()
	sendMany(from, to.JID, n, size)
	for i := range n {
		to.Want(fmt.Sprintf("id='%d'", i))
	}
	return time.Since(begin)
}

// piece is a size of messages that makes the server read a flood in parts: what is in one read is
// routed before it counts.
const piece = 4000

// TestRateOfSession: who sends more than allowed is read more slowly and loses nothing; others
// don't notice; the cluster's own accounts are not held up.
func TestRateOfSession(t *testing.T) {
	s := startServer(t, options{cfg: slow})
	alice, bob := login(t, s, "alice", "x"), login(t, s, "bob", "x")
	const n = 50 // 20 at once, the others in 1.5 s; a read of 16 KiB holds 4
	if d := arrival(t, alice, bob, n, piece); d < time.Second {
		t.Errorf("%d messages took %v at 20 a second", n, d)
	}
	pauses := counter(t, s, `xmppd_pauses_total{limit="stanzas"}`)
	if pauses == 0 {
		t.Error("no pause was counted")
	}
	arrival(t, login(t, s, "dn1", "x"), bob, n, piece)
	if now := counter(t, s, `xmppd_pauses_total{limit="stanzas"}`); now != pauses {
		t.Errorf("a data node's messages were held up %d times", now-pauses)
	}
}

// TestRateHoldsUpNobodyElse: while somebody who sent too much is not read for minutes, others are.
func TestRateHoldsUpNobodyElse(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.ListenHTTP = "127.0.0.1:0"
		c.Limits.BytesPerSecond, c.Limits.BurstSeconds = 1000, 1
	}})
	alice, bob, carol := login(t, s, "alice", "x"), login(t, s, "bob", "x"), login(t, s, "carol", "x")
	sendMany(alice, bob.JID, 100, piece) // 400 s worth
	bob.Want("id='0'")
	for range 10 {
		arrival(t, carol, carol, 1, 10)
	}
	alice.MayCut = true
}

// TestNoPaceIsSeen: what the tests of the limits would see without them.
func TestNoPaceIsSeen(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		slow(c)
		c.Limits.StanzaSeconds = 1
	}, c2s: c2s.Faults{NoPace: true}})
	alice, bob := login(t, s, "alice", "x"), login(t, s, "bob", "x")
	arrival(t, alice, bob, 50, piece)
	alice.Send("<message id='late' to='" + bob.JID + "'>")
	time.Sleep(1500 * time.Millisecond) // longer than a stanza may take
	alice.Send("</message>")
	bob.Want("id='late'")
	if n := counter(t, s, `xmppd_pauses_total{limit="stanzas"}`); n != 0 {
		t.Errorf("%d pauses", n)
	}
}

// TestOtherRates: by bytes, and of an account's sessions together.
func TestOtherRates(t *testing.T) {
	for limit, cfg := range map[string]func(*xmppd.Config){
		"bytes":           func(c *xmppd.Config) { c.Limits.BytesPerSecond, c.Limits.BurstSeconds = 50_000, 1 },
		"account_bytes":   func(c *xmppd.Config) { c.Limits.AccountBytesPerSecond, c.Limits.BurstSeconds = 100_000, 1 },
		"account_stanzas": func(c *xmppd.Config) { c.Limits.AccountStanzasPerSecond, c.Limits.BurstSeconds = 20, 1 },
	} {
		t.Run(limit, func(t *testing.T) {
			s := startServer(t, options{cfg: func(c *xmppd.Config) {
				c.ListenHTTP = "127.0.0.1:0"
				cfg(c)
			}})
			bob := login(t, s, "bob", "x")
			both := []*client{login(t, s, "alice", "0"), login(t, s, "alice", "1")} // before: a login takes what it takes
			begin := time.Now()
			for _, c := range both { // each alone keeps the limits of an account
				sendMany(c, bob.JID, 25, piece)
			}
			got := ""
			for strings.Count(got, "id='24'") < len(both) {
				got += bob.Want("id='24'")
			}
			if d := time.Since(begin); d < 500*time.Millisecond {
				t.Errorf("took %v", d)
			}
			if counter(t, s, fmt.Sprintf("xmppd_pauses_total{limit=%q}", limit)) == 0 {
				t.Error("no pause was counted")
			}
		})
	}
}

// TestPausedStreamEnds: a stream that is not read ends when the server says so.
func TestPausedStreamEnds(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Limits.BytesPerSecond, c.Limits.BurstSeconds = 10, 1 }})
	alice, bob := login(t, s, "alice", "x"), login(t, s, "bob", "x")
	sendMany(alice, bob.JID, 1, piece) // 400 s worth
	bob.Want("id='0'")
	if err := s.Accounts().Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	alice.Want("</stream:stream>")
}

// TestSlowStanza: a stanza that is begun has to end, however often another byte of it comes.
func TestSlowStanza(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.ListenHTTP, c.Limits.StanzaSeconds = "127.0.0.1:0", 1 }})
	for name, drip := range map[string]bool{"stuck": false, "drip": true} {
		t.Run(name, func(t *testing.T) {
			c := login(t, s, "alice", "x")
			before := counter(t, s, "xmppd_unfinished_stanzas_total")
			c.Send("<message to='bob@example.net'><body>")
			stop := make(chan bool)
			stopped := make(chan bool)
			go func() {
				defer close(stopped)
				for tick := time.NewTicker(50 * time.Millisecond); drip; {
					select {
					case <-tick.C:
						_, _ = c.Conn.Write([]byte("x")) // fails once the stream has ended
					case <-stop:
						tick.Stop()
						return
					}
				}
			}()
			c.Want("policy-violation")
			close(stop)
			<-stopped
			if counter(t, s, "xmppd_unfinished_stanzas_total") != before+1 {
				t.Error("not counted")
			}
		})
	}
	t.Run("idle", func(t *testing.T) { // silence between stanzas is nobody's fault
		c := login(t, s, "carol", "x")
		c.Send("<presence/> ")
		time.Sleep(1500 * time.Millisecond) // longer than a stanza may take
		arrival(t, c, c, 1, 10)
	})
}
