package xmppd_test

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
)

// leave ends a client's stream, and waits until all know.
func (x *trio) leave(t *testing.T, c *client) {
	t.Helper()
	c.Send("</stream:stream>")
	c.End()
	x.quiet(t)
}

func (x *trio) hops() (n uint64) {
	for _, s := range x.servers {
		n += s.Exchange().Counts().Hops.Load()
	}
	return n
}

// moved has somebody talk to a full JID whose session goes to another server, and returns how many hops each of
// the messages took behind the first that went there.
func moved(t *testing.T, f exchange.Faults) (hops uint64) {
	t.Helper()
	const n = 20
	x := startTrio(t, trioOptions{own: xmppd.Together{Exchange: f}})
	a, b := x.at(t, 0, "alice", "a"), x.at(t, 1, "bob", "b")
	say := func(word string) {
		a.Send("<message to='bob@" + domain + "/b' type='chat'><body>" + word + "</body></message>")
		b.Want(word)
	}
	say("before.")
	x.leave(t, b)
	b = x.at(t, 2, "bob", "b")
	say("first.")
	x.quiet(t)
	before := x.hops()
	for i := range n {
		say(fmt.Sprintf("m%d.", i))
	}
	return (x.hops() - before) / n
}

// TestMovedTogether: who moves to another server is found there at once, and from then on by the shortest way.
func TestMovedTogether(t *testing.T) {
	if hops := moved(t, exchange.Faults{}); hops != 1 {
		t.Errorf("%d hops", hops)
	}
}

func TestMovedNoticesFaults(t *testing.T) {
	if hops := moved(t, exchange.Faults{KeepStale: true}); hops == 1 {
		t.Error("the stale way is not noticed")
	}
}
