package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
)

// parted sends messages, one after the other, to somebody whose server is cut off in the middle, and
// returns how often each has come, to the receiver or as an error to the sender, when the network is
// whole again. In doubt that is too late for the server to tell what it did not get, which then comes as errors. The others
// come in order, or reordered counts those that come before the one before.
func parted(t *testing.T, f exchange.Faults, doubt bool) (times map[string]int, reordered int) {
	t.Helper()
	const cut, again, total = 80, 220, 260
	f.Look = patience
	n := new(broken)
	o := n.options()
	o.own.Exchange = f
	if !doubt {
		inner := o.perServer
		o.perServer = func(name string, own *xmppd.Together) {
			inner(name, own)
			own.Links.Doubt = 3 * patience
		}
	}
	n.x = startTrio(t, o)
	x := n.x
	a, c := x.at(t, 0, "alice", "a"), x.at(t, 2, "carol", "c")
	heard, told := "", ""
	send := func(from, to int) {
		for i := from; i < to; i++ {
			a.Send(fmt.Sprintf("<message to='carol@%s/c' type='chat' id='i%d'><body>m%d.</body></message>", domain, i, i))
		}
		told += a.Sync()
	}
	send(0, 40)
	c.Want("m39.")
	n.set(true)
	send(40, cut) // written, and lost with the network
	eventually(t, "the third is cut off", func() bool { return len(x.servers[0].Node().Mesh().Connected()) == 1 })
	send(cut, again) // nobody is there: kept, in two pages
	if doubt {
		eventually(t, "what came back has found its way", func() bool {
			return x.servers[0].Exchange().Counts().Returned.Load() >= 40 && x.servers[0].Exchange().Idle()
		})
	}
	n.set(false)
	send(again, total) // while the server comes back
	x.whole(t)
	want := total - 40
	if f.LoseReturned {
		want -= 40
	}
	times = make(map[string]int)
	eventually(t, "all has come", func() bool {
		heard += c.Sync()
		told += a.Sync()
		return strings.Count(heard, "<message")+strings.Count(told, "type='error'") >= want
	})
	for i := 40; i < total; i++ {
		times[fmt.Sprint(i)] = strings.Count(heard, fmt.Sprintf("m%d.", i)) + strings.Count(told, fmt.Sprintf("id='i%d'", i))
	}
	first := 40
	if doubt {
		first = cut
	}
	for i, last := first, -1; i < total; i++ {
		at := strings.Index(heard, fmt.Sprintf("m%d.", i))
		if at < last {
			reordered++
		}
		last = at
	}
	return times, reordered
}

// TestLedgerTogether: sent = delivered + bounced + kept, whatever happens to the network, and in order.
func TestLedgerTogether(t *testing.T) {
	for _, doubt := range []bool{true, false} {
		times, reordered := parted(t, exchange.Faults{}, doubt)
		for n, c := range times {
			if c != 1 {
				t.Errorf("in doubt %v: message %s: %d times", doubt, n, c)
			}
		}
		if reordered > 0 {
			t.Errorf("in doubt %v: %d messages came before the one before", doubt, reordered)
		}
	}
}

func TestLedgerNoticesFaults(t *testing.T) {
	lost := 0
	times, _ := parted(t, exchange.Faults{LoseReturned: true}, true)
	for _, c := range times {
		if c == 0 {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing was lost")
	}
}
