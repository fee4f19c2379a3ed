package offline

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/router"
)

// TestBackBeyondLimits: what a dead session leaves behind is kept although the account has as much as it
// may have, up to a bound.
func TestBackBeyondLimits(t *testing.T) {
	run := func(f faults) (kept []string, bounced int) {
		w := newWorld(t, Config{Messages: 3, Bytes: 250}, f, router.Faults{})
		alice := w.login("alice@d/a", 1<<20)
		bob := w.login("bob@d/b", 0)
		w.send(bob, "<presence/>")
		for i := range 15 {
			w.send(alice, chat(i))
		}
		w.end(bob)
		w.wg.Wait()
		w.send(alice, chat(99))
		return w.stored(), strings.Count(string(w.wires[alice].got), "<service-unavailable ")
	}
	const most = "0 1 2 3 4 5 6 7 8 9 10 11 12" // in 1,000 bytes
	if kept, bounced := run(faults{}); strings.Join(kept, " ") != most || bounced != 3 {
		t.Errorf("250 bytes may be kept, and four times that of what comes back: kept %q, %d bounced", kept, bounced)
	}
	if kept, _ := run(faults{strict: true}); len(kept) != 3 {
		t.Errorf("the planted bug is not noticed: kept %q", kept)
	}
}
