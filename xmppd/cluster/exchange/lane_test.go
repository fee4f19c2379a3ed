package exchange

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// TestHoldsAreBounded: what other servers send for an account whose stanzas are not looked at, as while a disk is slow, waits up to a
// bound; beyond it goes back to its sender. Another account of the lane has its own. The lanes don't run until the end.
func TestHoldsAreBounded(t *testing.T) {
	const size = 100_000
	for _, planted := range []bool{false, true} {
		x, out := alone(t, Faults{HoldAll: planted}, stanza.JID{Local: "v", Domain: "d", Resource: "q"}, 64<<20)
		send := func(to string, n int) {
			raw := fmt.Sprintf("<message from='v@d/q' to='%s' id='%d'><body>%s</body></message>", to, n, strings.Repeat("x", size))
			x.receive("b", append(appendHead(nil, kindRoute, 1, to), raw...))
		}
		const sent = 3 * maxHeld / size
		for n := range sent {
			send("u@d/r", n)
		}
		l := x.lane("u@d")
		for i := 0; ; i++ { // an account of the same lane
			if other := fmt.Sprintf("u%d@d", i); x.lane(other) == l {
				send(other+"/r", sent)
				break
			}
		}
		x.landed("b")
		back := strings.Count(out.got, "resource-constraint")
		held := int(l.waiting.Load())
		if back+held != sent+1 {
			t.Errorf("planted %v: of %d stanzas %d went back and %d wait", planted, sent+1, back, held)
		}
		if bounded := held*size <= maxHeld+size && back > 0; bounded == planted {
			t.Errorf("planted %v: %d stanzas wait, %d went back", planted, held, back)
		}
		if strings.Contains(out.got, fmt.Sprintf("id='%d'", sent)) {
			t.Error("the other account's went back")
		}
		x.Start()
		x.Close()
		if l.total != 0 || len(l.held) != 0 {
			t.Errorf("in the end %d bytes are held for %d accounts", l.total, len(l.held))
		}
	}
}
