package replicated

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWiped: a server whose data was lost comes back as another one, while updates go on at the others: it gets its
// share, what it had is no part of the cluster any more, and with it and one other server everything is there, once.
func TestWiped(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(3)
	l, stops := newLedger(6), make(map[int]chan struct{})
	for _, i := range []int{1, 2} {
		stops[i] = make(chan struct{})
		l.run(c.store(i), stops[i])
	}
	l.more(t, 20)
	before := c.store(3).ID()
	c.kill(3)
	l.more(t, 20)
	if err := os.RemoveAll(filepath.Join(c.dir, name(3))); err != nil {
		t.Fatal(err)
	}
	c.restart(3)
	eventually(t, "it has its share again", func() bool {
		doc := c.store(1).ring.Load()
		m, _ := doc.ByJID(jidOf(name(3)))
		return doc.Change == nil && len(doc.Members) == 3 && m.Store == c.store(3).ID()
	})
	c.settled(3)
	c.waitReady()
	if c.store(3).ID() == before {
		t.Error("a server without data has the UUID of its old data")
	}
	if r := c.store(1).Risk(func(string) bool { return true }); r.Lacking != 0 || len(r.Needed) != 0 {
		t.Errorf("when it is back: %+v", r)
	}
	close(stops[1])
	l.more(t, 20)
	c.kill(1) // its majority is of one that had all, and of the one that was refilled
	l.more(t, 20)
	l.end()
	for _, i := range []int{2, 3} {
		if err := l.audit(t.Context(), c.store(i)); err != nil {
			t.Errorf("at server %d: %v", i, err)
		}
	}
	if err := c.store(3).Leave(t.Context(), "x9"); !errors.Is(err, ErrNoMember) {
		t.Errorf("who never was a member leaves: %v", err)
	}
}

// TestWipedCountsAtOnce: a server that is back without its data does not count as one that has it, at itself and at others,
// though the ring can't be changed yet: who waits until the next server may be lost must not be told so too early.
func TestWipedCountsAtOnce(t *testing.T) {
	for _, f := range []faults{{}, {anyData: true}} {
		c := newCluster(t, memory(t), func(o *Options) { o.faults = f })
		c.found(3)
		c.kill(3)
		c.net.set(func() { // two that have the data remain, and can't agree on anything
			c.net.sent = func(from, to string, _ []byte) bool { return from == name(3) || to == name(3) }
		})
		if err := os.RemoveAll(filepath.Join(c.dir, name(3))); err != nil {
			t.Fatal(err)
		}
		c.restart(3)
		eventually(t, "it has heard of the ring", func() bool { return c.store(3).ring.Load() != nil })
		for _, i := range []int{1, 3} {
			r := c.store(i).Risk(func(string) bool { return true })
			if safe := len(r.Needed) == 0 && r.Lacking == 0; safe != f.anyData {
				t.Errorf("with %+v, at %d: %+v", f, i, r)
			}
			for _, m := range c.store(i).Status().Members {
				if m.Replaced != (m.Name == name(3) && !f.anyData) {
					t.Errorf("with %+v, at %d: %+v", f, i, m)
				}
			}
		}
		c.net.set(func() { c.net.sent = nil })
		c.settled(3)
		c.close()
	}
}
