package xmppd_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/im"
)

// gate holds back what servers tell one another of presence and rosters.
type gate struct {
	mu    sync.Mutex
	holds bool
	held  map[string][]func() // by receiver and sender
}

func (g *gate) options(f im.Faults) trioOptions {
	return trioOptions{own: xmppd.Together{IM: f}, shared: true, perServer: func(name string, own *xmppd.Together) {
		own.Exchange.Told = func(from string, take func()) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.holds {
				g.held[name+from] = append(g.held[name+from], take)
				return
			}
			take()
		}
	}}
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds, g.held = true, make(map[string][]func())
}

// release hands out what senders have told, that of the first one first, once all of it has come: what came later would be
// taken in the order in which it comes.
func (g *gate) release(x *trio, t *testing.T, senders ...string) {
	t.Helper()
	x.quiet(t)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = false
	for _, from := range senders {
		for _, to := range []string{"x1", "x2", "x3"} {
			for _, take := range g.held[to+from] {
				take()
			}
		}
	}
}

// reader is a client of alice that has her roster.
type reader struct {
	*client
	model
}

// readers are one at each server.
func readers(t *testing.T, x *trio) (all []*reader) {
	t.Helper()
	for i := range x.servers {
		r := &reader{client: x.at(t, i, "alice", fmt.Sprint("r", i))}
		r.fetch(t, r.client)
		all = append(all, r)
	}
	return all
}

func (r *reader) set(contact, name string) {
	rosterSet(r.client, "<item jid='"+contact+"' name='"+name+"'/>")
}

// crossed has two servers change one contact at the same moment, and told of it in an order. It returns what the
// clients at all servers do not have as it is in the end.
func crossed(t *testing.T, f im.Faults, order ...string) (wrong []string) {
	t.Helper()
	g := new(gate)
	x := startTrio(t, g.options(f))
	all := readers(t, x)
	g.hold()
	for i, name := range []string{"first", "second"} {
		all[i].set("c@x", name)
		all[i].take(t, all[i].Sync())
	}
	g.release(x, t, order...)
	x.quiet(t)
	fresh := &reader{client: x.at(t, 0, "alice", "fresh")}
	fresh.fetch(t, fresh.client)
	for i, r := range all {
		r.take(t, r.Sync())
		if !strings.Contains(r.items["c@x"], "second") || r.ver != fresh.ver {
			wrong = append(wrong, fmt.Sprintf("at server %d: %s, version %s; in the end it is %s", i+1, r.items["c@x"], r.ver, fresh.ver))
		}
	}
	return wrong
}

// TestRosterPushesCross: whatever the order in which servers hear of two changes of a contact, all clients end with
// the later one, and with its version.
func TestRosterPushesCross(t *testing.T) {
	for _, order := range [][]string{{"x1", "x2"}, {"x2", "x1"}} {
		if wrong := crossed(t, im.Faults{}, order...); len(wrong) > 0 {
			t.Errorf("told by %v: %s", order, wrong)
		}
	}
}

func TestRosterPushesNoticeCrossing(t *testing.T) {
	if wrong := crossed(t, im.Faults{AsTold: true}, "x2", "x1"); len(wrong) == 0 {
		t.Error("pushes as they come are not noticed")
	}
}

// claimed has a client that has not heard of another server's change hear of a later one of its own, and be cut
// off. It returns what the client has when it has asked with its version.
func claimed(t *testing.T, f im.Faults) (have []string) {
	t.Helper()
	g := new(gate)
	x := startTrio(t, g.options(f))
	all := readers(t, x)
	g.hold()
	all[0].set("a@x", "A")
	all[0].take(t, all[0].Sync())
	all[1].set("b@x", "B")
	all[1].Sync()
	all[0].set("c@x", "C")
	all[0].take(t, all[0].Sync())
	_ = all[0].Conn.Close()
	g.release(x, t, "x2", "x1")
	x.quiet(t)
	again := &reader{client: x.at(t, 0, "alice", "again"), model: all[0].model}
	again.fetch(t, again.client)
	for _, contact := range []string{"a@x", "b@x", "c@x"} {
		if _, has := again.items[contact]; has {
			have = append(have, contact)
		}
	}
	return have
}

// TestRosterVersionClaims: a version says what the client has, of other servers' changes, too.
func TestRosterVersionClaims(t *testing.T) {
	if have := claimed(t, im.Faults{}); len(have) != 3 {
		t.Errorf("the client has %v", have)
	}
}

func TestRosterVersionNoticesClaims(t *testing.T) {
	if have := claimed(t, im.Faults{AsTold: true}); len(have) == 3 {
		t.Error("a version that claims too much is not noticed")
	}
}

// met changes a roster and removes an account while the server of their sessions is cut off. It tells what becomes of
// these when it is back.
func met(t *testing.T, f im.Faults) (pushed, ended bool) {
	t.Helper()
	n := new(broken)
	o := n.options()
	o.own.IM = f
	n.x = startTrio(t, o)
	x := n.x
	a := &reader{client: x.at(t, 2, "alice", "far")}
	a.fetch(t, a.client)
	bob := x.at(t, 2, "bob", "b")
	near := &reader{client: x.at(t, 0, "alice", "near")}
	n.set(true)
	eventually(t, "the third is cut off", func() bool {
		return len(x.servers[2].Node().Mesh().Connected()) == 0 && len(x.servers[0].Node().Mesh().Connected()) == 1
	})
	near.set("late@x", "Late")
	near.Sync()
	if err := x.servers[0].Accounts().Delete(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	n.set(false)
	x.whole(t)
	look := func() bool {
		a.take(t, a.Sync())
		_, pushed = a.items["late@x"]
		return pushed
	}
	if !f.KeepGone {
		eventually(t, "the client is told", look)
		return pushed, strings.Contains(bob.Rest(), "<not-authorized ")
	}
	before := x.servers[2].Refreshed()
	eventually(t, "all accounts have been looked at", func() bool {
		x.servers[2].Refresh()
		return x.servers[2].Refreshed() >= before+2
	})
	bob.Sync() // the session lives
	return look(), false
}

// TestMeetingTogether: a server that was cut off tells its clients what they have missed, and ends the sessions of
// accounts that are gone.
func TestMeetingTogether(t *testing.T) {
	if pushed, ended := met(t, im.Faults{}); !pushed || !ended {
		t.Errorf("pushed: %v, ended: %v", pushed, ended)
	}
}

func TestMeetingNoticesFaults(t *testing.T) {
	if pushed, ended := met(t, im.Faults{KeepGone: true, NoMeeting: true}); pushed || ended {
		t.Errorf("not noticed: pushed: %v, ended: %v", pushed, ended)
	}
}

// missedMuch has a client with its roster go, another one at another server change more than the log has, the first change
// being the removal of a contact, and the first come back at a third server with the version it had. It tells what it lacks, or has too much.
func missedMuch(t *testing.T, f im.Faults) (wrong []string) {
	t.Helper()
	const changes = 140 // the log has 128
	x := startTrio(t, trioOptions{own: xmppd.Together{IM: f}, shared: true})
	a := &reader{client: x.at(t, 0, "alice", "away")}
	a.set("gone@x", "Gone")
	a.fetch(t, a.client)
	if _, has := a.items["gone@x"]; !has {
		t.Fatal("the contact is not there")
	}
	_ = a.Conn.Close()
	near := x.at(t, 1, "alice", "near")
	rosterSet(near, "<item jid='gone@x' subscription='remove'/>")
	for i := range changes {
		rosterSet(near, fmt.Sprintf("<item jid='c%d@x'/>", i))
	}
	near.Sync()
	a.client = x.at(t, 2, "alice", "back")
	a.fetch(t, a.client)
	a.take(t, a.Sync())
	if _, has := a.items["gone@x"]; has {
		wrong = append(wrong, "gone@x")
	}
	for i := range changes {
		if _, has := a.items[fmt.Sprintf("c%d@x", i)]; !has {
			wrong = append(wrong, fmt.Sprintf("c%d@x", i))
		}
	}
	return wrong
}

// TestVersionTooOld: a client that asks with a version older than what is remembered of a roster gets all of it.
func TestVersionTooOld(t *testing.T) {
	if wrong := missedMuch(t, im.Faults{}); len(wrong) > 0 {
		t.Errorf("missing, or too much: %s", wrong)
	}
	if wrong := missedMuch(t, im.Faults{KnowAll: true}); len(wrong) == 0 {
		t.Error("the planted bug does not show")
	}
}
