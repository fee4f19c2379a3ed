package im_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// TestOutlived: a session of an earlier account of the same name ends when a server makes good what it has missed; one that was bound
// a little earlier than the account was made, by another server's clock, stays.
func TestOutlived(t *testing.T) {
	for _, f := range []im.Faults{{}, {KeepOlder: true}} {
		w := newWorld(t, f)
		if err := w.store.Create(t.Context(), &account.Account{Name: "new", Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
		older, near := w.actor("new@d/1"), w.actor("new@d/2")
		older.Bound, near.Bound = time.Now().Add(-time.Hour).UnixNano(), time.Now().Add(-time.Minute).UnixNano()
		w.say("new@d/1", "<presence/>")
		w.say("new@d/2", "<presence/>")
		if err := w.im.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if older.Available() != f.KeepOlder || !near.Available() {
			t.Errorf("KeepOlder %v: an hour older than its account: there: %v; a minute: %v", f.KeepOlder, older.Available(), near.Available())
		}
		w.im.Close()
	}
}

// TestNoPushesWhileMoving: what is changed in a roster while another server is about to have a session is not pushed here: the other
// one pushes it. A session that stays after all is told then, once.
func TestNoPushesWhileMoving(t *testing.T) {
	for _, f := range []im.Faults{{}, {PushMoving: true}} {
		w := newWorld(t, f)
		a := w.actor("a@d/1")
		w.say("a@d/1", "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
		a.State()
		a.sink.got = nil
		if err := w.im.Put(t.Context(), "a", account.Item{Contact: "new@x", Name: "New", Subscription: account.SubNone}); err != nil {
			t.Fatal(err)
		}
		if pushed := bytes.Contains(a.sink.got, []byte("new@x")); pushed != f.PushMoving {
			t.Errorf("PushMoving %v: pushed while it moves: %v", f.PushMoving, pushed)
		}
		a.StopMoving()
		var b session.Batch
		w.im.CatchUp(t.Context(), a.Session, &b)
		b.Flush()
		if n := bytes.Count(a.sink.got, []byte("new@x")); n != 1 {
			t.Errorf("PushMoving %v: pushed %d times", f.PushMoving, n)
		}
		w.im.Close()
	}
}
