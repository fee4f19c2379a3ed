package e2e

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

var freeze = flag.Duration("freeze", 0, "how much longer a server of a cluster is frozen than it takes to see what happens")

// TestFrozenServer stops one of three servers by SIGSTOP: the others cut it off and go on, nothing that was sent
// to or from its clients vanishes or is doubled, and when it wakes up it is back by itself. From before it is stopped until it is
// back people log in at the others, read and change their roster and chat: that takes longer for a moment, while what the
// frozen one led has no leader, and none of it fails or hangs.
func TestFrozenServer(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: append(guests(), "alice", "bob", "carol", "erin", "frank")})
	x1, x2, x3 := sv.All[0], sv.All[1], sv.All[2]
	comings := []*visits{
		visitsAt(t, x1, guests()[:guestsAt], harness.Listen(x2.Online(t, "erin", "e"))),
		visitsAt(t, x2, guests()[guestsAt:], harness.Listen(x1.Online(t, "frank", "f"))),
	}
	alice, bob, carol := harness.Listen(x1.Online(t, "alice", "a")), harness.Listen(x2.Online(t, "bob", "b")), harness.Listen(x3.Online(t, "carol", "c"))
	sv.Quiet()
	toFrozen, toHealthy, fromFrozen := harness.Keep("to", alice, carol.JID), harness.Keep("healthy", bob, alice.JID), harness.Keep("from", carol, bob.JID)
	toFrozen.More(t, 50)

	for _, v := range comings {
		v.begin()
		v.more(t, 1)
	}
	began := time.Now()
	x3.Freeze(t)
	x1.Sees(t, 1)
	x2.Sees(t, 1)
	t.Logf("cut off after %v", time.Since(began).Round(time.Millisecond))
	// The frozen one does nothing until these have ended.
	toFrozen.More(t, 50)
	sent := toHealthy.Sent()
	alice.Await(t, fmt.Sprintf("<body>healthy %d.</body>", sent-1), 1)
	for _, v := range comings {
		v.more(t, guestsAt)
	}
	time.Sleep(*freeze) // that long it is frozen
	x3.Thaw(t)
	woken := time.Now()
	sv.Whole()
	t.Logf("whole again %v after it went on", time.Since(woken).Round(time.Millisecond))
	for _, v := range comings {
		v.end(t)
	}
	toFrozen.More(t, 50)
	for _, l := range []*harness.Ledger{toFrozen, toHealthy, fromFrozen} {
		l.Stop()
	}
	sv.Quiet()
	toFrozen.Settle(t, append(sv.Later("carol"), carol)...)
	toHealthy.Settle(t, append(sv.Later("alice"), alice)...)
	fromFrozen.Settle(t, append(sv.Later("bob"), bob)...)
}
