package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
)

// parted sends messages, one after the other, to somebody whose server is cut off in the middle, and
// returns how often each has come, to the receiver or as an error to the sender, when the network is
// whole again. Those that were on their way to nobody come in order.
func parted(t *testing.T, f exchange.Faults) (times map[string]int) {
	t.Helper()
	const cut, again, total = 80, 220, 260
	f.Look = patience
	n := new(broken)
	o := n.options()
	o.own.Exchange = f
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
	eventually(t, "what came back has found its way", func() bool {
		return x.servers[0].Exchange().Counts().Returned.Load() >= 40 && x.servers[0].Exchange().Idle()
	})
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
	for i, last := cut, -1; i < total; i++ {
		at := strings.Index(heard, fmt.Sprintf("m%d.", i))
		if at < last {
			t.Errorf("message %d came before the one before", i)
		}
		last = at
	}
	return times
}

// TestLedgerTogether: sent = delivered + bounced + kept, whatever happens to the network.
func TestLedgerTogether(t *testing.T) {
	for n, c := range parted(t, exchange.Faults{}) {
		if c != 1 {
			t.Errorf("message %s: %d times", n, c)
		}
	}
}

func TestLedgerNoticesFaults(t *testing.T) {
	lost := 0
	for _, c := range parted(t, exchange.Faults{LoseReturned: true}) {
		if c == 0 {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing was lost")
	}
}
