package offline

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// unsure is a store that makes changes and does not know whether it has.
type unsure struct {
	store.Store
	is bool
}

func (u *unsure) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	err := u.Store.Update(ctx, owner, f)
	if err == nil && u.is {
		err = fmt.Errorf("update: %w", store.ErrUncertain)
	}
	return err
}

// unsureWorld is a server with alice, and a store that may become unsure.
func unsureWorld(t *testing.T, f faults) (*world, *unsure, func(string)) {
	records := &unsure{Store: storetest.NewMemory("d")}
	w := newWorldOf(t, records, Options{}, f, router.Faults{})
	alice := w.login("alice@d/a", 1<<20)
	send := func(text string) {
		w.send(alice, "<message to='bob@d' type='chat'><body>"+text+"</body></message>")
	}
	t.Cleanup(func() {
		all := strings.Join(w.wires[alice].read(), "")
		failed, told := strings.Contains(all, "service-unavailable"), strings.Count(all, "remote-server-timeout") == 1
		if told == f.sure || failed && !f.sure {
			t.Errorf("planted %v: alice is told %q", f.sure, all)
		}
	})
	return w, records, send
}

// TestUncertain: who writes to somebody who is away, and nobody knows whether that is kept, is told so, not that it failed.
func TestUncertain(t *testing.T) {
	for _, planted := range []bool{false, true} {
		w, records, send := unsureWorld(t, faults{sure: planted})
		records.is = true
		send("one")
		if got := w.stored(); len(got) != 1 {
			t.Errorf("kept: %q", got)
		}
	}
}

// TestUncertainBehindOthers: what may be kept behind other messages is not delivered at once, too.
func TestUncertainBehindOthers(t *testing.T) {
	for _, planted := range []bool{false, true} {
		w, records, send := unsureWorld(t, faults{sure: planted})
		for range 3 { // more than a page
			send(strings.Repeat("x", 40<<10))
		}
		bob := w.login("bob@d/b", 0) // the network takes nothing, so that the rest stays on the disk
		w.send(bob, "<presence/>")
		records.is = true
		send("two")
		records.is = false
		w.wires[bob].grant(1 << 20)
		w.wg.Wait()
		w.end(bob)
		again := w.login("bob@d/c", 1<<20)
		w.send(again, "<presence/>")
		w.wg.Wait()
		times := strings.Count(strings.Join(append(w.wires[bob].read(), w.wires[again].read()...), ""), "two")
		if times != 1 && !planted || times < 2 && planted {
			t.Errorf("planted %v: it came %d times", planted, times)
		}
	}
}
