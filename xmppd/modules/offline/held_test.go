package offline

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// failing is a store that takes no changes while its server is cut off.
type failing struct {
	store.Store
	fails atomic.Bool
}

var errFails = errors.New("no majority")

func (s *failing) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	if s.fails.Load() {
		return errFails
	}
	return s.Store.Update(ctx, owner, f)
}

// unremoved has a page delivered while the store can't be changed, and the rest when it can. It returns how often each
// message has come.
func unremoved(t *testing.T, f faults) string {
	t.Helper()
	x := newSeveral(t, 1, f)
	w := x.worlds[0]
	x.keep()
	records := &failing{Store: w.module.opt.Store}
	w.module.opt.Store = records
	_, got := x.login(0, 0)
	records.fails.Store(true)
	got.grant(1 << 30)
	x.wait()
	records.fails.Store(false)
	x.later(time.Second)
	x.wait()
	if n := len(w.stored()); n != 0 {
		t.Errorf("%d messages are kept still", n)
	}
	return times(got)
}

// TestDeliveredWhileCutOff: what could not be removed when it was delivered is not delivered again.
func TestDeliveredWhileCutOff(t *testing.T) {
	if got := unremoved(t, faults{}); got != "once" {
		t.Error(got)
	}
	if got := unremoved(t, faults{holdNothing: true}); got == "once" {
		t.Error("the planted bug is not noticed")
	}
}

// brought has a session take a page along from a server that is cut off then, so that this can't remove it. It returns
// how often each message has come to its client, or, if that is lost before it has got any, to the next one.
func brought(t *testing.T, f faults, lost bool) string {
	t.Helper()
	x := newSeveral(t, 2, f)
	x.keep()
	s, first := x.login(0, 0) // has the page in its queue
	var found look
	err := x.worlds[0].store.View(t.Context(), "bob", func(r store.Reader) error {
		found = look{}
		return x.worlds[0].module.look(r, "bob", 0, &found)
	})
	if err != nil || len(found.page) != pageCount {
		t.Fatalf("%d messages in the page, %v", len(found.page), err)
	}
	x.meets(0, Away)
	w := x.worlds[1]
	taken := w.login("bob@d/0", 0)
	var b session.Batch
	var kept [][]byte
	for _, e := range found.page {
		kept = append(kept, w.module.delayed(e))
		b.Send(taken, kept[len(kept)-1], nil, nil, nil)
	}
	w.module.Hold(taken, kept)
	b.Flush()
	w.send(taken, "<presence/>")
	x.later(0) // notes that the other one is away
	x.later(awayTime)
	second := w.wires[taken]
	if lost {
		second.Abort()
		w.end(taken)
		_, second = x.login(1, 0)
	}
	second.grant(1 << 30)
	w.wg.Wait()
	if n := len(w.stored()); n != 0 {
		t.Errorf("%d messages are kept still", n)
	}
	first.Abort()
	x.worlds[0].end(s)
	x.wait()
	return times(second)
}

// TestTakenAlong: a page that a session has brought from a server that is cut off is not delivered by this one, too.
func TestTakenAlong(t *testing.T) {
	for _, lost := range []bool{false, true} {
		if got := brought(t, faults{}, lost); got != "once" {
			t.Errorf("lost: %v: %s", lost, got)
		}
	}
	if got := brought(t, faults{holdNothing: true}, false); got == "once" {
		t.Error("the planted bug is not noticed")
	}
}
