package offline

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// TestNobodyWaits: what goes to an account whose sessions take no kept messages is not
// this module's business, so that it need not leave the event loop; until one is about to.
func TestNobodyWaits(t *testing.T) {
	w := newWorld(t, Config{}, faults{}, router.Faults{})
	alice, bob := w.login("alice@d/a", 1<<20), w.login("bob@d/b", 1<<20)
	marked := func() bool { return bob.User().Interest()&w.module.mark.Bits() != 0 }
	if !marked() {
		t.Fatal("a session is not marked before it has sent presence")
	}
	w.send(bob, "<presence><priority>-1</priority></presence>")
	if marked() {
		t.Fatal("a session of negative priority stays marked")
	}
	st, err := stanza.One([]byte("<message to='bob@d/b' id='1'><x xmlns='y'/></message>"))
	if err != nil {
		t.Fatal(err)
	}
	var b session.Batch
	b.OnBlock(func() { t.Error("a message between sessions leaves the event loop") })
	if se := w.router.Route(t.Context(), alice, st, &b); se != nil {
		t.Fatal(se)
	}
	b.Flush()
	if n := len(w.wires[bob].read()); n != 1 {
		t.Fatalf("%d messages have come", n)
	}

	// Between being announced and being there somebody else looks, and finds nobody.
	w.module.arrives(bob)
	w.send(alice, chat(0))
	if !marked() {
		t.Fatal("a session that is about to take messages lost the mark")
	}
	w.send(bob, "<presence/>")
	w.wg.Wait()
	if got := w.wires[bob].read(); len(got) != 2 || body(got[1]) != "0" {
		t.Fatalf("%q has come", got)
	}
	if marked() {
		t.Fatal("a session that has got all stays marked")
	}
}
