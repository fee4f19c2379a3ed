package e2e

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// TestKilledServer kills one of three servers while 200 messages a second from each of the others are on their way to its
// client, to the full and to the bare address. What the client has not got comes back or is kept, and comes once, but for what
// the dead server alone had: messages that it had taken, and not yet written, when it died. Those are the ones right
// behind the last that its client has got, and none is of later.
func TestKilledServer(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: []string{"alice", "bob", "carol"}})
	x1, x2, x3 := sv.All[0], sv.All[1], sv.All[2]
	alice, bob, carol := harness.Listen(x1.Online(t, "alice", "a")), harness.Listen(x2.Online(t, "bob", "b")), harness.Listen(x3.Online(t, "carol", "c"))
	sv.Quiet()
	ledgers := []*harness.Ledger{harness.Keep("full", alice, carol.JID), harness.Keep("bare", bob, "carol@"+harness.Domain)}
	for _, l := range ledgers {
		l.More(t, 100)
	}
	x3.Kill(t)
	sv.Whole()
	var seen []int // sent when the death was known
	for _, l := range ledgers {
		seen = append(seen, l.Sent())
	}
	for _, l := range ledgers {
		l.More(t, 100)
		l.Stop()
	}
	sv.Quiet()
	later := append(sv.Later("carol"), carol)
	for i, l := range ledgers {
		var o harness.Outcome
		harness.Eventually(t, harness.Patience, "what was sent later has come, or come back", func() bool {
			o = l.Look(later...)
			return !slices.ContainsFunc(o.Missing(), func(n int) bool { return n >= seen[i] })
		})
		got := l.Look(carol)
		last := slices.Max(append(got.Heard(), -1))
		lost := o.Missing()
		for n, number := range lost {
			if number != last+1+n {
				t.Errorf("%v: %v are missing, and the last that the client of the dead server got was %d", o, lost, last)
				break
			}
		}
		if o.Twice > 0 {
			t.Errorf("%v", o)
		}
		t.Logf("%v; %d of them only the dead server had", o, len(lost))
	}
}
