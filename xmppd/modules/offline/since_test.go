package offline

import (
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// returns has a message for bob come back from a server that did not get it.
func (w *world) returns(raw string, since time.Time) {
	w.t.Helper()
	st, err := stanza.One([]byte(strings.Replace(raw, "<message", "<message from='alice@d/a'", 1)))
	if err != nil {
		w.t.Fatal(err)
	}
	var b session.Batch
	p := &module.Passage{From: stanza.JID{Local: "alice", Domain: "d", Resource: "a"}, To: stanza.JID{Local: "bob", Domain: "d"}, Stanza: st, Batch: &b, Stamped: true, Since: since}
	w.router.Arrive(w.t.Context(), p)
	b.Flush()
}

// returned keeps a message, and after it two that were sent before, with times that are as near as can be. It returns what bob gets.
func returned(t *testing.T, f faults) []string {
	t.Helper()
	w := newWorld(t, Config{}, f, router.Faults{})
	alice, sent := w.login("alice@d/a", 1<<20), w.now.read()
	w.now.pass(time.Second)
	w.send(alice, chat(3))
	w.returns(chat(0), sent)
	w.returns(chat(1), sent)
	w.returns(chat(2), sent)
	w.returns(chat(4), w.now.read().Add(time.Hour)) // a clock that was wrong
	bob := w.login("bob@d/b", 1<<20)
	w.send(bob, "<presence/>")
	w.wg.Wait()
	if left := w.stored(); len(left) > 0 {
		t.Errorf("kept still: %v", left)
	}
	return w.wires[bob].read()
}

// TestSince: what comes back from a server goes before what was kept meanwhile, and says since when it is under way.
func TestSince(t *testing.T) {
	got := returned(t, faults{})
	if all := bodies(got); all != "0 1 2 3 4" {
		t.Errorf("came as %s", all)
	}
	if len(got) > 0 && !strings.Contains(got[0], "stamp='2023-11-14T22:13:20.000001Z'") {
		t.Errorf("the first says %s", got[0])
	}
	if all := bodies(returned(t, faults{late: true})); !strings.HasPrefix(all, "3 ") {
		t.Errorf("the planted bug is not noticed: came as %s", all)
	}
}

// replaced has a server be away that has delivered a message and not removed it; another one delivers that, too. Then one comes back
// that was sent at the same moment, and the first server goes on. It returns what is kept in the end.
func replaced(t *testing.T, f faults) []string {
	t.Helper()
	x := newSeveral(t, 2, f)
	a, b := x.worlds[0], x.worlds[1]
	sent := a.now.read()
	a.send(a.login("alice@d/a", 1<<20), chat(0))
	_, first := x.login(0, 0)
	s, second := x.login(1, 1<<20)
	x.meets(0, Gone)
	x.later(0)
	b.wg.Wait()
	if got := bodies(second.read()); got != "0" {
		t.Fatalf("the second server has delivered %q", got)
	}
	b.end(s)
	b.returns(chat(1), sent)
	first.grant(1 << 20)
	x.wait()
	return b.stored()
}

// TestSinceIsNoKeyOfBefore: what is put before others never has the key of one that somebody may be about to remove.
func TestSinceIsNoKeyOfBefore(t *testing.T) {
	if kept := replaced(t, faults{}); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
	if kept := replaced(t, faults{sameKeys: true}); len(kept) != 0 {
		t.Errorf("the planted bug is not noticed: kept %v", kept)
	}
}
