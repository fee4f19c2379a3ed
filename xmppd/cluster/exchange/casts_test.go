package exchange

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/im"
)

// shown is a frame with presence of a session, for the sessions of u@d.
func shown(from, status string) []byte {
	return appendOp(nil, &im.Op{Kind: im.OpCast, List: []string{"u@d"}, Raw: fmt.Appendf(nil, "<presence from='%s'><status>%s</status></presence>", from, status)})
}

// TestCastsAreBounded: of presence of one session that comes faster than it is looked at, the latest waits, and others' too. What
// comes is not looked at until the end.
func TestCastsAreBounded(t *testing.T) {
	const size = 10_000
	for _, planted := range []bool{false, true} {
		x, out := alone(t, Faults{TakeAll: planted}, stanza.JID{Local: "u", Domain: "d", Resource: "r"}, 64<<20)
		x.cfg.Table.Get("u@d/r").SetPresence([]byte("<presence/>"), 0)
		const told = 3 * maxTold / size
		x.told("b", shown("w@d/q", "before"))
		for n := range told {
			x.told("b", shown("v@d/q", fmt.Sprint("number ", n, strings.Repeat(" ", size))))
			x.told("c", shown("y@d/q", fmt.Sprint("number ", n)))
		}
		x.told("b", shown("w@d/q", "after"))
		held := int(x.casts.waiting.Load())
		if bounded := (held-told)*size <= maxTold+2*size; bounded == planted {
			t.Errorf("planted %v: %d of %d wait", planted, held, 2*told+2)
		}
		if n := int(x.counts.Superseded.Load()); n+held != 2*told+2 {
			t.Errorf("planted %v: %d wait, %d are superseded, %d were told", planted, held, n, 2*told+2)
		}
		x.Start()
		x.Close()
		last := strings.LastIndex(out.got, "from='v@d/q'")
		if !strings.Contains(out.got[last:], fmt.Sprint("number ", told-1, " ")) || strings.Index(out.got, ">before<") > strings.Index(out.got, ">after<") {
			t.Errorf("planted %v: it does not end with the latest", planted)
		}
		if n := strings.Count(out.got, "from='y@d/q'"); n != told {
			t.Errorf("planted %v: %d of %d of the other server's", planted, n, told)
		}
		if x.casts.waiting.Load() != 0 || x.casts.told["b"] != nil && x.casts.told["b"].bytes != 0 {
			t.Error("in the end something is counted as waiting")
		}
	}
}

// TestCastsOverrun: a server that tells more than can be kept is cut off, and what it has told is forgotten, until it is there again;
// that of another server waits on.
func TestCastsOverrun(t *testing.T) {
	for _, planted := range []bool{false, true} {
		x, _ := alone(t, Faults{TakeAll: planted}, stanza.JID{Local: "u", Domain: "d", Resource: "r"}, 1<<20)
		op := &im.Op{Kind: im.OpMemos, A: "u@d"}
		x.cast("c", op, 1<<20)
		const fits = maxCasts / (1<<20 + castCost)
		for range 2 * fits {
			x.cast("b", op, 1<<20)
		}
		held, over := x.casts.waiting.Load(), x.counts.Overruns.Load()
		if bounded := held == 1 && over == 1; bounded == planted {
			t.Errorf("planted %v: %d wait, %d overruns", planted, held, over)
		}
		x.casts.ended("b")
		x.cast("b", op, 1<<20)
		if now := x.casts.waiting.Load(); now != held+1 {
			t.Errorf("planted %v: %d wait when it is back", planted, now)
		}
		x.Start()
		x.Close()
	}
}

// TestLate: who has stood behind others whose records can't be had is told soon; a message for a session that is there is delivered
// all the same.
func TestLate(t *testing.T) {
	for _, planted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			x, out := alone(t, Faults{Stand: planted}, stanza.JID{Local: "v", Domain: "d", Resource: "q"}, 1<<20)
			tried := 0
			come := func(to string) {
				x.enter("b", kindRoute, &stored{to: to, raw: fmt.Appendf(nil, "<message from='v@d/q' to='%s' type='chat'><body>x</body></message>", to)})
			}
			come("n@d")
			come("v@d/q")
			time.Sleep(2 * patience) // of the bubble's clock
			come("n@d")
			x.Start()
			x.Close()
			tried = strings.Count(out.got, "<service-unavailable")
			if late := strings.Count(out.got, "<resource-constraint"); late+tried != 2 || (late == 1) == planted {
				t.Errorf("planted %v: %d were tried, %d came back late", planted, tried, late)
			}
			if !strings.Contains(out.got, "to='v@d/q' type='chat'") {
				t.Error("what needs no records is not delivered")
			}
		})
	}
}
