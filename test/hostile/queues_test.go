package hostile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// TestDeafSessions: many sessions of one account that neither read nor acknowledge, each within the
// limit of its queue, cost the server no more than the budget of all queues; nobody else notices.
func TestDeafSessions(t *testing.T) {
	const sessions, presence, rounds = 100, 15_000, 60 // 900,000 bytes for each
	run := func(total int) uint64 {
		s := xmppraw.Start(t, func(c *xmppd.Config) {
			c.Limits.SessionsPerAccount, c.Limits.QueueBytes, c.Limits.QueueTotalBytes = 2*sessions, mib, total
		})
		by := chat(t, s)
		for i := range sessions {
			c := bound(t, s, fmt.Sprint("deaf", i))
			c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>")
			c.Want("<enabled ")
		}
		sender := bound(t, s, "sender").Available()
		status := strings.Repeat("a", presence)
		return growth(func() {
			for i := range rounds {
				sender.Send(fmt.Sprintf("<presence><status>%d %s</status></presence>", i, status))
				sender.Want(fmt.Sprintf("<status>%d ", i))
			}
			by.goOn(t, 5)
		})
	}
	const budget, most = 8 * mib, 60 * mib // 64 KiB a session besides, and garbage
	if grew := run(budget); grew > most {
		t.Errorf("the heap grew by %d bytes with a budget of %d", grew, budget)
	}
	if grew := run(1 << 30); grew < most {
		t.Errorf("the heap grew by %d bytes without a budget: the test shows nothing", grew)
	}
}
