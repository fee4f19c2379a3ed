package xmppd_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
	"github.com/rosterdb/rosterdb/xmppd/im"
)

// split is three servers, the first two of which can be cut off from each other alone.
type split struct {
	*trio
	cut   atomic.Bool
	addrs [2]atomic.Value // of the first two, once they are known
}

func startSplit(t *testing.T, f im.Faults) *split {
	t.Helper()
	n := new(split)
	n.trio = startTrio(t, trioOptions{own: xmppd.Together{IM: f}, shared: true, perServer: func(name string, own *xmppd.Together) {
		own.Links.Silence, own.Links.Doubt = 3*time.Second, time.Second // a slow machine is not dead
		own.Cut = func(addr string) bool {
			return n.cut.Load() && (name == "x1" && addr == n.addrs[1].Load() || name == "x2" && addr == n.addrs[0].Load())
		}
	}})
	for i := range n.addrs {
		n.addrs[i].Store(n.servers[i].Node().Addr())
	}
	return n
}

// part cuts the two off from each other.
func (n *split) part(t *testing.T) {
	t.Helper()
	n.cut.Store(true)
	for _, s := range n.servers[:2] {
		eventually(t, "the two are cut off from each other", func() bool { return len(s.Node().Mesh().Connected()) == 1 })
	}
}

// hears collects what a client gets until ok says that it is enough.
func hears(t *testing.T, what string, c *client, ok func(got string) bool) (got string) {
	t.Helper()
	eventually(t, what, func() bool {
		got += c.Sync()
		return ok(got)
	})
	return got
}

// last tells what the last presence of somebody in what a client got says: "", "available" or "unavailable".
func last(got, full string) (state string) {
	for _, p := range strings.SplitAfter(got, "<presence")[1:] {
		head, _, _ := strings.Cut(p, ">")
		switch {
		case !strings.Contains(head, "from='"+full+"'"):
		case strings.Contains(head, "unavailable"):
			state = "unavailable"
		default:
			state = "available"
		}
	}
	return state
}

const near, far = "dn1@" + domain + "/w", "dn2@" + domain + "/c"

// roams has a session lose sight of a contact by a broken link, go on at the third server, which has never lost it, and come
// back to the second, which can't reach it: what it and its contact see after each.
func roams(t *testing.T, f im.Faults) (there, back, contact string) {
	t.Helper()
	n := startSplit(t, f)
	w := enable(login(t, n.servers[1], "dn1", "w"), "")
	w.Send("<presence/>")
	c := n.at(t, 0, "dn2", "c")
	isGone := func(full string) func(string) bool {
		return func(got string) bool { return last(got, full) == "unavailable" }
	}
	n.part(t)
	hears(t, "the contact is told to be gone", w.client, isGone(far))
	hears(t, "and so is who has lost it", c, isGone(near))
	_ = w.Conn.Close()
	at := authenticated(t, n.servers[2], "dn1")
	there = resumedAll(t, n, at, w.id)
	contact = c.Sync()
	there += behind(at, "third")
	if !f.NoLevel {
		there += hears(t, "it is seen from the third", at, func(got string) bool { return last(there+got, far) == "available" })
		contact += hears(t, "and seen there", c, func(got string) bool { return last(contact+got, near) == "available" })
	}
	_ = at.Conn.Close()
	at = authenticated(t, n.servers[1], "dn1")
	back = resumedAll(t, n, at, w.id)
	back += behind(at, "second")
	if !f.NoLevel && !f.KeepShown {
		back += hears(t, "it is not seen from the second", at, func(got string) bool { return last(back+got, far) == "unavailable" })
	}
	n.cut.Store(false)
	return there, back, contact
}

// behind is what a client gets until a question is answered that it has not asked before: answers to older ones may come again.
func behind(c *client, id string) string {
	c.Send("<iq type='get' id='behind-" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	return c.Want("id='behind-" + id + "'")
}

// resumedAll resumes a session, acknowledges nothing, and waits until the servers have done what follows.
func resumedAll(t *testing.T, n *split, c *client, id string) string {
	t.Helper()
	got := c.resume(id, 0)
	if !strings.Contains(got, "<resumed ") {
		t.Fatalf("resumed: %s", got)
	}
	eventually(t, "nothing is under way", func() bool {
		for _, s := range n.servers {
			if !s.Exchange().Idle() {
				return false
			}
		}
		return true
	})
	return got
}

// TestLevelTogether: a session that moves sees what its new server sees, and is seen by whoever that server reaches.
func TestLevelTogether(t *testing.T) {
	t.Parallel()
	there, back, contact := roams(t, im.Faults{})
	if last(there, far) != "available" || last(back, far) != "unavailable" || last(contact, near) != "available" {
		t.Errorf("at the third: %s\nat the second: %s\nthe contact: %s", there, back, contact)
	}
}

func TestLevelNoticesFaults(t *testing.T) {
	t.Run("no levelling", func(t *testing.T) {
		t.Parallel()
		if there, _, contact := roams(t, im.Faults{NoLevel: true}); last(there, far) != "unavailable" || last(contact, near) == "available" {
			t.Errorf("without levelling: %s\nthe contact: %s", there, contact)
		}
	})
	t.Run("keep shown", func(t *testing.T) {
		t.Parallel()
		if _, back, _ := roams(t, im.Faults{KeepShown: true}); last(back, far) != "available" {
			t.Errorf("taken back all the same: %s", back)
		}
	})
}

// crosses has somebody log in while the session of a contact moves: the third server is asked before it has the session, and
// the first when it has it no more. It returns what the two have got.
func crosses(t *testing.T, f im.Faults) (moves, logsIn string) {
	t.Helper()
	var mu sync.Mutex
	var held []func()
	holds := false
	x := startTrio(t, trioOptions{own: xmppd.Together{IM: f}, shared: true, perServer: func(name string, own *xmppd.Together) {
		if name != "x1" {
			return
		}
		own.Exchange = exchange.Faults{Told: func(from string, take func()) {
			mu.Lock()
			defer mu.Unlock()
			if holds && from == "x2" {
				held = append(held, take)
				return
			}
			take()
		}}
	}})
	w := enable(login(t, x.servers[0], "dn1", "w"), "")
	w.Send("<presence/>")
	w.Sync()
	x.quiet(t)
	_ = w.Conn.Close()
	mu.Lock()
	holds = true
	mu.Unlock()
	c := x.at(t, 1, "dn2", "c")
	at := authenticated(t, x.servers[2], "dn1")
	if moves = at.resume(w.id, 0); !strings.Contains(moves, "<resumed ") {
		t.Fatalf("resumed: %s", moves)
	}
	eventually(t, "it is given away", func() bool { return x.servers[0].Handover().Counts().Out.Load() == 1 })
	x.quiet(t)
	mu.Lock()
	holds = false
	for _, take := range held {
		take()
	}
	mu.Unlock()
	x.quiet(t)
	return moves + behind(at, "third"), c.Sync()
}

// TestLoginWhileContactMoves: both see each other in the end.
func TestLoginWhileContactMoves(t *testing.T) {
	if moves, logsIn := crosses(t, im.Faults{}); last(moves, far) != "available" || last(logsIn, near) != "available" {
		t.Errorf("who moves: %s\nwho logs in: %s", moves, logsIn)
	}
	if moves, logsIn := crosses(t, im.Faults{NoLevel: true}); last(moves, far) == "available" || last(logsIn, near) == "available" {
		t.Errorf("without levelling: %s\nwho logs in: %s", moves, logsIn)
	}
}
