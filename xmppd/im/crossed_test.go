package im_test

import (
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/im"
)

// take has a server take all that another one has sent it, and do what is to be done in turn.
func (r *realm) take(n *node, from string) {
	for r.deliver(n.name, from) {
	}
	n.turns()
}

// turns has a server do what is to be done in turn.
func (n *node) turns() {
	for len(n.lane) > 0 {
		f := n.lane[0]
		n.lane = n.lane[1:]
		f()
	}
}

// first has a server do the first of what may be done at any time.
func (n *node) first() {
	f := n.todo[0]
	n.todo = n.todo[1:]
	f()
}

// met is a realm at rest, with three clients of which the first and the last have each other in no roster.
func met(t *testing.T, f im.Faults) (r *realm, x1, x2, x3 *node, shows, sees *user) {
	t.Helper()
	r = newRealm(t, 1, f)
	t.Cleanup(r.close)
	r.rest()
	return r, r.nodes["x1"], r.nodes["x2"], r.nodes["x3"], r.users[0], r.users[3]
}

// direct has a client show presence to another one, or take it back.
func (u *user) direct(to, what string) { u.at.tell(u.a, "<presence to='"+to+"'"+what) }

const (
	shown = "><status>shown</status></presence>"
	taken = " type='unavailable'/>"
)

// TestDirectedCrosses: somebody takes directed presence back just behind a move, and what the new server tells of that overtakes
// what the old one has told before.
func TestDirectedCrosses(t *testing.T) {
	for _, f := range []im.Faults{{}, {NoQuestion: true}} {
		for _, to := range []string{"c@d/1.1", "c@d"} {
			r, x1, x2, x3, shows, sees := met(t, f)
			r.login(sees, x3)
			r.login(r.users[2], x3) // a contact of the one that moves: what is told of that is looked at there
			r.login(shows, x2)
			r.rest()
			shows.direct(to, shown) // waits on its way to x3
			r.offer(shows, x1)
			x2.first() // commits
			r.take(x1, "x2")
			shows.direct(to, taken)
			r.take(x3, "x1")
			r.take(x3, "x2")
			_, before := r.look(sees, shows)
			x1.first() // levels
			r.take(x3, "x1")
			r.rest()
			if _, after := r.look(sees, shows); !before || after != f.NoQuestion {
				t.Errorf("%+v, to %s: seen at first: %v, in the end: %v", f, to, before, after)
			}
		}
	}
}

// look has clients read, and tells what one sees of another.
func (r *realm) look(u, of *user) (status string, sees bool) {
	r.read()
	status, sees = u.seen[of.full]
	return status, sees
}

// TestDirectedBeforeMove: directed presence is taken back that another server, to which the one that it was directed to moves then, has been
// told and has not looked at yet.
func TestDirectedBeforeMove(t *testing.T) {
	for _, f := range []im.Faults{{}, {TakeHere: true}} {
		r, x1, _, x3, shows, sees := met(t, f)
		r.login(sees, x3)
		r.login(shows, x3)
		r.rest()
		shows.direct(sees.full, shown)
		r.cut("x1", "x3")
		r.rest()
		r.heal("x1", "x3")
		r.notice("x1", "x3")
		r.notice("x3", "x1")
		x3.turns() // greets x1
		shows.direct(sees.full, taken)
		_, before := r.look(sees, shows)
		r.offer(sees, x1)
		x3.first() // commits
		r.take(x1, "x3")
		r.rest()
		if _, after := r.look(sees, shows); before || after != f.TakeHere {
			t.Errorf("%+v: seen before: %v, after: %v", f, before, after)
		}
	}
}

// TestDirectedTakenLate: directed presence is taken back, and who has done so comes here before that is looked at here, or without
// it: the link broke.
func TestDirectedTakenLate(t *testing.T) {
	for _, f := range []im.Faults{{}, {KeepTaken: true}} {
		for _, breaks := range []bool{false, true} {
			r, _, x2, x3, shows, sees := met(t, f)
			r.login(sees, x3)
			r.login(shows, x2)
			shows.direct("c@d", shown)
			r.rest()
			_, before := r.look(sees, shows)
			if breaks {
				r.cut("x2", "x3")
			}
			shows.direct("c@d", taken)
			if breaks {
				r.notice("x2", "x3")
				r.notice("x3", "x2")
				r.heal("x2", "x3")
				r.notice("x2", "x3")
				r.notice("x3", "x2")
			}
			r.offer(shows, x3)
			x2.first() // commits
			for r.deliver("x3", "x2") {
			}
			r.rest()
			if _, after := r.look(sees, shows); !before || after != f.KeepTaken {
				t.Errorf("%+v, the link breaks: %v: seen before: %v, after: %v", f, breaks, before, after)
			}
		}
	}
}

// TestDirectedTakenApart: who has moved takes directed presence back while its old server, which has not ended its session there yet, is
// cut off.
func TestDirectedTakenApart(t *testing.T) {
	for _, f := range []im.Faults{{}, {NoQuestion: true}} {
		r, x1, x2, _, shows, sees := met(t, f)
		r.login(sees, x2)
		r.login(shows, x2)
		shows.direct(sees.full, shown)
		r.rest()
		_, before := r.look(sees, shows)
		r.offer(shows, x1)
		x2.first() // commits
		r.take(x1, "x2")
		r.take(x2, "x1")
		r.cut("x1", "x2")
		shows.direct(sees.full, taken)
		r.notice("x1", "x2")
		r.notice("x2", "x1")
		x1.turns()
		x2.turns()
		r.heal("x1", "x2")
		r.notice("x1", "x2")
		r.notice("x2", "x1")
		x1.turns()
		r.take(x2, "x1") // sees it there
		r.rest()
		if _, after := r.look(sees, shows); !before || after != f.NoQuestion {
			t.Errorf("%+v: seen before: %v, after: %v", f, before, after)
		}
	}
}

// TestBackBeforeLeft: a session moves and comes back before the server knows that it has left: who was shown its directed presence
// sees it.
func TestBackBeforeLeft(t *testing.T) {
	for _, f := range []im.Faults{{}, {ShowHalf: true}} {
		r, _, x2, x3, shows, sees := met(t, f)
		r.login(sees, x2)
		r.login(shows, x2)
		shows.direct(sees.full, shown)
		r.rest()
		r.offer(shows, x3)
		x2.first() // commits
		r.take(x3, "x2")
		_, before := r.look(sees, shows)
		r.offer(shows, x2)
		x3.todo = x3.todo[len(x3.todo)-1:] // what it would do first has to wait
		x3.first()
		r.take(x2, "x3")
		r.rest()
		if _, after := r.look(sees, shows); !before || after == f.ShowHalf {
			t.Errorf("%+v: seen before: %v, after: %v", f, before, after)
		}
	}
}

// TestDirectedToMover: presence is directed to a session that another server has got and has levelled, by somebody at the one before, which
// does not know yet that it has.
func TestDirectedToMover(t *testing.T) {
	for _, f := range []im.Faults{{}, {ShowHere: true}} {
		r, x1, _, x3, shows, sees := met(t, f)
		r.login(sees, x3)
		r.login(shows, x3)
		r.rest()
		r.offer(sees, x1)
		x3.first() // commits
		r.take(x1, "x3")
		x1.first() // levels
		r.take(x3, "x1")
		r.take(x1, "x3")
		shows.direct(sees.full, shown)
		r.rest()
		if _, is := r.look(sees, shows); is == f.ShowHere {
			t.Errorf("%+v: seen: %v", f, is)
		}
	}
}

// TestToldInTurns: the old and the new server of a session tell of it in turns, and what was said first is heard last.
func TestToldInTurns(t *testing.T) {
	for _, f := range []im.Faults{{}, {AsHeard: true}} {
		r, x1, x2, x3, sees, third := met(t, f)
		shows := r.users[2]
		r.login(sees, x1)
		r.login(third, x1)
		r.login(shows, x2)
		r.rest()
		x2.tell(shows.a, "<presence><status>old</status></presence>") // waits on its way to x1
		r.offer(shows, x3)
		x2.first() // commits
		r.take(x3, "x2")
		x3.first() // levels
		x3.tell(shows.a, "<presence><status>new</status></presence>")
		r.take(x1, "x3")
		r.take(x1, "x2")
		before, _ := r.look(sees, shows)
		shows.direct(third.full, shown) // is heard of it there, and shown to another one
		r.take(x1, "x3")
		r.rest()
		if after, _ := r.look(sees, shows); before != "old" || (after == "old") != f.AsHeard {
			t.Errorf("%+v: its status is %q at first, and %q in the end", f, before, after)
		}
	}
}

// TestBackWithout: a session comes back to a server without what it directed when it left, and what the server told of that was heard late.
func TestBackWithout(t *testing.T) {
	for _, f := range []im.Faults{{}, {KeepOld: true}} {
		r, x1, x2, x3, shows, sees := met(t, f)
		r.login(sees, x1)
		r.login(shows, x2)
		r.rest()
		shows.direct(sees.full, shown) // waits on its way to x1
		r.offer(shows, x3)
		x2.first() // commits
		r.take(x3, "x2")
		shows.direct(sees.full, taken)
		r.take(x1, "x3")
		r.take(x1, "x2")
		_, before := r.look(sees, shows)
		x3.todo = x3.todo[1:] // does not level it any more
		x3.first()            // says that it has it
		r.take(x2, "x3")
		x2.first() // ends it there
		x2.turns()
		r.offer(shows, x2)
		x3.first() // commits
		r.take(x2, "x3")
		r.take(x1, "x2")
		r.rest()
		if _, after := r.look(sees, shows); !before || after != f.KeepOld {
			t.Errorf("%+v: seen before: %v, after: %v", f, before, after)
		}
	}
}
