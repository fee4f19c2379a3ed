package im_test

import (
	"context"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// TestPartingWhileEnding: a subscription ends, or somebody is blocked, when a session is off the table already and has not taken its presence
// back: who saw it is told that it is gone.
func TestPartingWhileEnding(t *testing.T) {
	for name, part := range map[string]func(w *world){
		"unsubscribe":  func(w *world) { w.say("a@d/1", "<presence type='unsubscribe' to='b@d'/>") },
		"unsubscribed": func(w *world) { w.say("b@d/2", "<presence type='unsubscribed' to='a@d'/>") },
		"remove": func(w *world) {
			w.say("a@d/1", "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='b@d' subscription='remove'/></query></iq>")
		},
		"portal": func(w *world) {
			if err := w.im.Put(t.Context(), "b", account.Item{Contact: "a@d", Subscription: account.SubNone}); err != nil {
				t.Fatal(err)
			}
			w.read()
		},
		"block": func(w *world) {
			a := stanza.JID{Local: "a", Domain: "d"}
			if err := w.im.Blocked(t.Context(), stanza.JID{Local: "b", Domain: "d"}, []stanza.JID{a}); err != nil {
				t.Fatal(err)
			}
			w.read()
		},
	} {
		for _, f := range []im.Faults{{}, {OnListed: true}} {
			w := newWorld(t, f)
			if err := w.im.Put(t.Context(), "a", account.Item{Contact: "b@d", Subscription: account.SubTo}); err != nil {
				t.Fatal(err)
			}
			w.say("b@d/2", "<presence><status>2</status></presence>")
			w.say("b@d/1", "<presence><status>1</status></presence>")
			w.say("a@d/1", "<presence/>")
			ends, sees := w.actors["b@d/1"], w.actors["a@d/1"]
			before := sees.seen["b@d/1"]
			w.table.Unbind(ends.Session)
			part(w)
			_, still := sees.seen["b@d/1"]
			w.im.SessionEnded(t.Context(), ends.Session)
			w.read()
			if _, other := sees.seen["b@d/2"]; before != "1" || still != f.OnListed || other {
				t.Errorf("%s, %+v: saw %q; sees it: %v, the other session: %v", name, f, before, still, other)
			}
			w.im.Close()
		}
	}
}

// TestPartingAcrossServers: a subscription ends at one server, and the contact's session at another one, which learns of the first
// from the records before it is told: who saw the session is told that it is gone.
func TestPartingAcrossServers(t *testing.T) {
	for _, c := range []struct {
		name   string
		f      im.Faults
		within bool // it ends, and that is told, while the subscription does
		sees   bool
	}{
		{"ends behind it", im.Faults{}, false, false},
		{"ends behind it, by those that are here", im.Faults{OnListed: true}, false, true},
		{"ends while it does", im.Faults{}, true, false},
		{"ends while it does, by those in sight then", im.Faults{SightLate: true}, true, true},
	} {
		r := newRealm(t, 1, c.f)
		r.rest()
		ends, u := r.users[2], r.users[0]
		r.login(ends, r.nodes["x1"])
		r.login(u, r.nodes["x2"])
		r.rest()
		_, before := u.seen[ends.full]
		end := func() {
			ends.at.table.User("b@d").Forget() // it is read anew, of the records
			r.logout(ends)
		}
		if c.within {
			r.nodes["x2"].updated = func() {
				if it, _ := r.store.Item(t.Context(), "b", "a@d"); ends.at != nil && !it.From() {
					end()
					r.rest()
				}
			}
		}
		u.at.tell(u.a, "<presence type='unsubscribe' to='b@d'/>")
		if !c.within {
			end()
		}
		r.rest()
		if _, sees := u.seen[ends.full]; !before || ends.at != nil || sees != c.sees {
			t.Errorf("%s: saw it: %v, ended: %v, sees it: %v", c.name, before, ends.at == nil, sees)
		}
		r.close()
	}
}

// TestAskedBeforeParting: somebody logs in, and the contact's server ends the subscription before it is asked for presence.
func TestAskedBeforeParting(t *testing.T) {
	for _, f := range []im.Faults{{}, {AnyProbe: true}} {
		r := newRealm(t, 1, f)
		r.rest()
		contact, u := r.users[0], r.users[2]
		r.login(contact, r.nodes["x1"])
		r.rest()
		r.login(u, r.nodes["x2"]) // nothing of it has come to the first server yet
		contact.at.tell(contact.a, "<presence type='unsubscribed' to='b@d'/>")
		r.rest()
		if _, sees := u.seen[contact.full]; sees != f.AnyProbe {
			t.Errorf("%+v: sees it: %v", f, sees)
		}
		r.close()
	}
}

// TestPartedStaysInSight: one of two who see a session unsubscribes from it. When its server dies the other one is told that it is gone.
func TestPartedStaysInSight(t *testing.T) {
	for _, f := range []im.Faults{{}, {PartAll: true}} {
		r := newRealm(t, 1, f)
		if err := r.nodes["x1"].im.Put(t.Context(), "c", account.Item{Contact: "b@d", Subscription: account.SubTo}); err != nil {
			t.Fatal(err)
		}
		r.rest()
		seen, u, other := r.users[2], r.users[0], r.users[3]
		r.login(seen, r.nodes["x1"])
		r.login(u, r.nodes["x2"])
		r.login(other, r.nodes["x2"])
		r.rest()
		u.at.tell(u.a, "<presence type='unsubscribe' to='b@d'/>")
		r.rest()
		_, parted := u.seen[seen.full]
		_, sees := other.seen[seen.full]
		r.kill(t, "x1")
		r.rest()
		if _, ghost := other.seen[seen.full]; parted || !sees || ghost != f.PartAll {
			t.Errorf("%+v: who has unsubscribed sees it: %v; the other one: %v, and when its server is dead: %v", f, parted, sees, ghost)
		}
		r.close()
	}
}

// TestPartingShowsNoStranger: who unsubscribes does not hear of sessions that have shown themselves to others only.
func TestPartingShowsNoStranger(t *testing.T) {
	r := newRealm(t, 1, im.Faults{})
	defer r.close()
	r.rest()
	hidden, u, other := r.users[2], r.users[0], r.users[3]
	hidden.full, hidden.at, hidden.a = hidden.name, r.nodes["x1"], r.nodes["x1"].enter(hidden.name)
	hidden.at.bind(hidden.a)
	r.login(u, r.nodes["x2"])
	r.login(other, r.nodes["x2"])
	flushed(func(b *session.Batch) { hidden.at.im.Hide(context.Background(), hidden.a.Session, false, b) })
	hidden.seen = make(map[string]string)
	hidden.at.tell(hidden.a, "<presence to='"+other.full+"'/>")
	r.rest()
	if _, sees := other.seen[hidden.full]; !sees {
		t.Fatal("directed presence is not shown")
	}
	r.read()
	u.at.tell(u.a, "<presence type='unsubscribe' to='b@d'/>")
	heard := false
	for _, st := range cut(u.a.sink.got) {
		heard = heard || st.AttrString(st.From) == hidden.full
	}
	if heard {
		t.Error("who unsubscribes hears of a session that it has never seen")
	}
}
