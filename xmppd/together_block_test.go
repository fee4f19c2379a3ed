package xmppd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/im"
)

// blockedAfter is whether a client that has followed what it was sent takes an address for blocked.
func blockedAfter(got, address string) bool {
	is := false
	for _, iq := range strings.Split(got, "<iq ") {
		if !strings.Contains(iq, "<item jid='"+address+"'") {
			continue
		}
		is = strings.Contains(iq, "<block ")
	}
	return is
}

// blockCrossed has one server block an address and, a moment later, another one unblock it, and these told of it in an
// order. It returns what the clients at all servers take for its state, and what each was sent.
func blockCrossed(t *testing.T, f im.Faults, order ...string) (blocked []bool, sent []string) {
	t.Helper()
	g := new(gate)
	x := startTrio(t, g.options(f))
	var all []*client
	for i := range x.servers {
		c := x.at(t, i, "alice", fmt.Sprint("r", i))
		c.Send("<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
		c.Want("id='l'")
		c.Sync()
		all = append(all, c)
	}
	sent = make([]string, len(all))
	g.hold()
	for i, verb := range []string{"block", "unblock"} {
		all[i].Send("<iq type='set' id='s'><" + verb + " xmlns='urn:xmpp:blocking'><item jid='m@x'/></" + verb + "></iq>")
		sent[i] += all[i].Sync()
	}
	g.release(x, t, order...)
	x.quiet(t)
	for i, c := range all {
		sent[i] += c.Sync()
		blocked = append(blocked, blockedAfter(sent[i], "m@x"))
	}
	return blocked, sent
}

// TestBlockPushesCross: whatever the order in which servers hear of two changes of a block list, all clients end with
// the later one.
func TestBlockPushesCross(t *testing.T) {
	for _, order := range [][]string{{"x1", "x2"}, {"x2", "x1"}} {
		blocked, sent := blockCrossed(t, im.Faults{}, order...)
		for i, is := range blocked {
			if is || !strings.Contains(sent[i], "<unblock ") {
				t.Errorf("told by %v: at server %d the address is blocked, or nothing was told: %s", order, i+1, sent[i])
			}
		}
	}
}

func TestBlockPushesNoticeFaults(t *testing.T) {
	blocked, _ := blockCrossed(t, im.Faults{AsTold: true}, "x2", "x1")
	if !blocked[2] {
		t.Error("pushes as they come are not noticed")
	}
	if _, sent := blockCrossed(t, im.Faults{BlockHere: true}, "x1", "x2"); strings.Contains(sent[2], "<unblock ") {
		t.Error("that nobody is told is not noticed")
	}
}
