package exchange

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// chat is a frame with a message for u@d/r.
func chat(n int) (raw string, frame []byte) {
	raw = fmt.Sprintf("<message from='v@d/q' to='u@d/r' type='chat' id='%d'><body>x</body></message>", n)
	return raw, append(appendHead(nil, kindRoute, 1, "u@d/r"), raw...)
}

// TestKeptComesFirst: a server that was cut off is told to look for what was kept meanwhile, and has what comes behind that wait
// until it has looked. The lanes don't run before, so that it is known what waits.
func TestKeptComesFirst(t *testing.T) {
	for _, planted := range []bool{false, true} {
		x, out := alone(t, Faults{LookLate: planted}, stanza.JID{Local: "u", Domain: "d", Resource: "r"}, 1<<20)
		s := x.cfg.Table.Get("u@d/r")
		s.SetPresence([]byte("<presence/>"), 0)
		kept, _ := chat(1)
		x.OnKept(func(_ context.Context, owner stanza.JID, b *session.Batch) {
			if owner.String() != "u@d" || !b.Send(s, []byte(kept), nil, nil, nil) {
				t.Errorf("looked for what is kept for %s", owner)
			}
		})
		x.receive("b", appendHead(nil, kindKept, 1, ""))
		live, frame := chat(2)
		x.receive("b", frame)
		x.landed("b")
		x.Start()
		x.Close()
		if inOrder := out.got == kept+live; inOrder == planted || len(out.got) != len(kept+live) {
			t.Errorf("planted %v: %q", planted, out.got)
		}
	}
}

// TestReturnedComesFirst: what comes waits behind what a server did not get. The lanes don't run before all has come.
func TestReturnedComesFirst(t *testing.T) {
	const total = maxSettled + 8
	for _, planted := range []bool{false, true} {
		var kept []string
		x, _ := alone(t, Faults{ReturnLate: planted}, stanza.JID{Local: "w", Domain: "d", Resource: "r"}, 1<<20)
		x.cfg.Router.SetCluster(x)
		if err := x.cfg.Router.Add(&keeper{func(id string) { kept = append(kept, id) }}); err != nil {
			t.Fatal(err)
		}
		for n := range total {
			_, frame := chat(n)
			x.undelivered("b", frame, time.Now(), false)
		}
		raw, _ := chat(total)
		p, err := (&stored{to: "u@d/r", raw: []byte(raw)}).passage(new(session.Batch))
		if err != nil {
			t.Fatal(err)
		}
		x.cfg.Router.Arrive(t.Context(), p)
		x.Start()
		x.Close()
		inOrder := len(kept) == total+1
		for i, id := range kept {
			inOrder = inOrder && id == fmt.Sprint(i)
		}
		if inOrder == planted || len(kept) != total+1 {
			t.Errorf("planted %v: %q", planted, kept)
		}
		for _, l := range x.lanes {
			if l.bytes != 0 || len(l.asked) != 0 {
				t.Errorf("%d bytes wait in the end, for %d accounts", l.bytes, len(l.asked))
			}
		}
	}
}
