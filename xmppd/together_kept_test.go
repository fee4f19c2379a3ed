package xmppd_test

import (
	"fmt"
	"strings"
	"testing"
)

// enableAcks has a client acknowledge only when the test does.
func enableAcks(t *testing.T, c *client) {
	t.Helper()
	c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	c.Want("<enabled")
}

// TestKeptTogether: an account comes on line at two servers while the first one's client acknowledges nothing. What was
// kept goes to one of the two at a time; when that client is gone, the rest goes to the other one.
func TestKeptTogether(t *testing.T) {
	const total = 150 // two pages
	x := startTrio(t, trioOptions{})
	a := x.at(t, 0, "alice", "a")
	for i := range total {
		a.Send(fmt.Sprintf("<message to='bob@%s' type='chat'><body>m%d.</body></message>", domain, i))
	}
	a.Sync()
	x.quiet(t)
	first := login(t, x.servers[1], "bob", "b1")
	enableAcks(t, first)
	first.Send("<presence/>")
	got1 := first.Want("m99.")
	second := x.at(t, 2, "bob", "b2")
	x.quiet(t)
	if got := second.Sync(); strings.Contains(got, "<message") {
		t.Fatalf("both servers deliver: %s", got)
	}
	first.Send("<a xmlns='urn:xmpp:sm:3' h='60'/></stream:stream>") // has handled some of the page, and leaves
	first.End()
	got2 := ""
	eventually(t, "the other one has the rest", func() bool {
		got2 += second.Sync()
		return strings.Contains(got2, "m149.")
	})
	x.quiet(t)
	got2 += second.Sync()
	if strings.Contains(got1, "m100.") {
		t.Errorf("more than a page without acknowledgement: %s", got1)
	}
	seen := 0
	for i := range total {
		switch n := strings.Count(got2, fmt.Sprintf("m%d.", i)); {
		case n > 1:
			t.Errorf("message %d came %d times to the second client", i, n)
		case n == 1:
			seen++
		}
	}
	if seen > total-55 || seen < total-60 { // of 60 stanzas some were presence
		t.Errorf("%d of %d went to the second client", seen, total)
	}
}
