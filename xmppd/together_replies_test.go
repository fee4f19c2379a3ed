package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
)

// bounced has messages, which are not to be kept, come back from two clients while their sender's server is cut off: from one
// before that is known, and from the other one afterwards. It returns how often each has come back when the
// network is whole.
func bounced(t *testing.T, f exchange.Faults) (times map[string]int) {
	t.Helper()
	const each = 10
	n := new(broken)
	o := n.options()
	o.own.Exchange = f
	n.x = startTrio(t, o)
	x := n.x
	a := x.at(t, 2, "alice", "a")
	var to []*client
	for i, name := range []string{"bob", "carol"} {
		c := login(t, x.servers[0], name, "r")
		enableAcks(t, c)
		c.Send("<presence/>")
		c.Sync()
		to = append(to, c)
		x.quiet(t)
		for k := range each {
			a.Send(fmt.Sprintf("<message to='%s@%s/r' type='chat' id='i%d-%d.'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>", name, domain, i, k))
		}
		c.Want(fmt.Sprintf("i%d-%d.", i, each-1))
	}
	const counter = "xmppd_stanzas_bounced_total"
	before := x.servers[0].Count(t, counter)
	leave := func(i int) {
		to[i].Send("</stream:stream>")
		to[i].End()
		eventually(t, "all of it has come back", func() bool { return x.servers[0].Count(t, counter) == before+float64(each*(i+1)) })
	}
	n.set(true)
	leave(0)
	eventually(t, "the sender's server is cut off", func() bool { return len(x.servers[0].Node().Mesh().Connected()) == 1 })
	leave(1)
	n.set(false)
	x.whole(t)
	told := ""
	eventually(t, "all has come back", func() bool {
		told += a.Sync()
		return f.LoseReplies || strings.Count(told, "type='error'") >= 2*each
	})
	last := login(t, x.servers[0], "bob", "last") // what comes behind
	eventually(t, "what is sent now comes", func() bool {
		last.Send("<message to='alice@" + domain + "/a' type='chat'><body>last.</body></message>")
		told += a.Sync()
		return strings.Contains(told, "last.")
	})
	times = make(map[string]int)
	for i := range to {
		for k := range each {
			id := fmt.Sprintf("i%d-%d.", i, k)
			times[id] = strings.Count(told, id)
		}
	}
	return times
}

// TestBouncesTogether: an error finds its receiver, once, when the network is whole again.
func TestBouncesTogether(t *testing.T) {
	for id, n := range bounced(t, exchange.Faults{}) {
		if n != 1 {
			t.Errorf("message %s came back %d times", id, n)
		}
	}
}

func TestBouncesNoticeFaults(t *testing.T) {
	for id, n := range bounced(t, exchange.Faults{LoseReplies: true}) {
		if n != 0 {
			t.Errorf("message %s came back though the planted bug loses it", id)
		}
	}
}
