package replicated

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// TestLeave: a dead server is taken off the cluster. When it comes back it is no part of it, nor of use, until its data
// directory is empty: whatever gossip says of it, nobody has it join with its old data.
func TestLeave(t *testing.T) {
	for _, f := range []faults{{}, {rejoin: true}} {
		c := newCluster(t, memory(t), func(o *Options) { o.faults = f })
		c.found(3)
		c.sure("an entry", func() error { return add(c, 3, "o", "first") })
		late := Server{Name: name(3), Store: c.store(3).ID()}
		c.kill(3)
		c.sure("its removal", func() error { return c.store(1).Leave(t.Context(), name(3)) })
		c.settled(2)
		if !c.store(2).Moved(name(3)) || c.store(2).Moved(name(1)) {
			t.Error("who has moved is told wrongly")
		}
		if ids, _ := c.entries(2, "o"); !ids["first"] {
			t.Error("what was there is lost")
		}
		var joins []Server
		fresh := Server{Name: "x9", Store: uuid.NewString()}
		eventually(t, "it can be told who may join", func() bool {
			joins = c.store(1).joinable(t.Context(), c.store(1).ring.Load(), []Server{late, fresh})
			return slices.Contains(joins, fresh)
		})
		if slices.Contains(joins, late) != f.rejoin {
			t.Errorf("with %+v: old data may join: %v", f, !f.rejoin)
		}
		c.restart(3)
		eventually(t, "it sees that it has left", func() bool { return errors.Is(c.store(3).Health(), ErrLeft) })
		c.close()
	}
}

// TestNeeded: a server that is there does not leave while so many others are missing that a part of the data would have
// no majority: nothing is changed then. The missing one may, and then the other.
func TestNeeded(t *testing.T) {
	for _, f := range []faults{{}, {blindLeave: true}} {
		c := newCluster(t, memory(t), func(o *Options) {
			o.faults = f
			o.Takers = func() func(string) bool { return func(n string) bool { return n != name(3) } }
		})
		c.found(3)
		c.sure("an entry", func() error { return add(c, 1, "o", "first") })
		c.kill(3)
		epoch := c.store(1).ring.Load().Epoch
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- c.store(1).Leave(ctx, name(2)) }()
		if f.blindLeave {
			eventually(t, "the data has no majority", func() bool {
				return c.store(1).Risk(func(n string) bool { return n != name(3) }).Lost > 0
			})
			cancel()
			<-left
			c.restart(3) // it ends
			c.settled(2)
			c.close()
			continue
		}
		err := <-left
		cancel()
		if !errors.Is(err, ErrNeeded) || !strings.Contains(err.Error(), name(3)) || c.store(1).ring.Load().Epoch != epoch {
			t.Errorf("a server that is needed leaves: %v", err)
		}
		c.sure("the removal of what is missing", func() error { return c.store(1).Leave(t.Context(), name(3)) })
		c.settled(2)
		c.sure("the removal", func() error { return c.store(1).Leave(t.Context(), name(2)) })
		eventually(t, "it has left", func() bool { return c.store(1).Moved(name(2)) })
		if ids, _ := c.entries(1, "o"); !ids["first"] {
			t.Error("what was there is lost")
		}
		c.close()
	}
}

// TestUndecided: without a majority of those that decide, or that record who has left, a removal ends with the names of the missing ones.
func TestUndecided(t *testing.T) {
	c := newCluster(t, memory(t), func(o *Options) {
		o.Patience = time.Second
		o.Takers = func() func(string) bool { return func(n string) bool { return n == name(1) } }
	})
	defer c.close()
	c.found(3)
	if err := c.store(1).Leave(t.Context(), name(3)); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "x2, x3") {
		t.Error(err)
	}
	s := c.store(1)
	doc := *s.ring.Load()
	doc.Meta = []uint64{s.dir.Member()} // those that decide are there
	if got := strings.Join(s.undecided(&doc), " "); got != "x2 x3" {
		t.Errorf("where who has left can't be recorded %q are missed", got)
	}
}

// TestLast: the only server can't leave.
func TestLast(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(1)
	if err := c.store(1).Leave(t.Context(), name(1)); !errors.Is(err, ErrLast) {
		t.Error(err)
	}
}

// TestLost: when a majority is gone operations end, and the next ones soon; health tells.
func TestLost(t *testing.T) {
	c := newCluster(t, memory(t), func(o *Options) { o.Patience = 2 * time.Second })
	defer c.close()
	c.found(3)
	c.sure("an entry", func() error { return add(c, 1, "o", "first") })
	c.net.set(func() { c.net.cut[name(2)], c.net.cut[name(3)] = true, true })
	eventually(t, "it is told", func() bool {
		err := add(c, 1, "o", "lost")
		return (errors.Is(err, ErrUnavailable) || errors.Is(err, store.ErrUncertain)) && errors.Is(c.store(1).Health(), ErrUnavailable)
	})
	group := c.store(1).ring.Load().Partition(rootOf("o"))
	tr := c.store(1).newTry(t.Context())
	tr.of(group)
	if time.Until(tr.deadline) > hastyPatience || !c.store(1).Lost("o") {
		t.Error("an operation on what is known to be lost waits for long")
	}
	c.net.set(func() { clear(c.net.cut) })
	c.sure("all is well again", func() error { return errors.Join(add(c, 1, "o", "again"), c.store(1).Health()) })
	eventually(t, "what can be had is not taken for lost", func() bool { return add(c, 1, "o", "more") == nil && !c.store(1).Lost("o") })
}

// TestLostTogether: when one group could not be reached those that have no majority of connected servers either are not waited for
// in full; all others are, and all when a server is back.
func TestLostTogether(t *testing.T) {
	for _, f := range []faults{{}, {eachInFull: true}} {
		c := newCluster(t, memory(t), func(o *Options) { o.faults = f })
		c.found(3)
		s := c.store(1)
		hasty := func() bool {
			tr := s.newTry(t.Context())
			tr.of(1)
			return time.Until(tr.deadline) <= hastyPatience
		}
		s.ServerDown(name(2))
		s.ServerDown(name(3))
		if hasty() {
			t.Error("it is given up before any was waited for")
		}
		s.lost.add(0)
		if hasty() == f.eachInFull {
			t.Errorf("with %+v: %v", f, hasty())
		}
		s.ServerUp(name(2))
		s.lost.add(0)
		if hasty() {
			t.Error("what a majority has is given up")
		}
		c.close()
	}
}

var errCrash = errors.New("the server has crashed")

// TestImport: a cluster begins with older data, whole, also if the server that brings it crashes meanwhile; no other
// server works with the data before it is there. Other data is refused.
func TestImport(t *testing.T) {
	for _, f := range []faults{{}, {hastyImport: true}} {
		secret := make([]byte, secretSize)
		secret[0] = 7
		crash, seenEmpty := true, false
		c := newCluster(t, memory(t), nil)
		run := func(ctx context.Context, s store.Store) error {
			if err := s.Update(ctx, "o", func(tx store.Tx) error { return tx.Put("entries", []byte("a"), nil) }); err != nil || crash {
				return errors.Join(err, errCrash)
			}
			return s.Update(ctx, "p", func(tx store.Tx) error { return tx.Put("entries", []byte("b"), nil) })
		}
		c.tune = func(o *Options) {
			o.faults, o.Follows = f, true
			if o.Name == name(1) {
				o.Follows, o.Found, o.Import = false, func() bool { return true }, &Import{secret, run}
			}
		}
		c.start(1)
		if err := <-c.store(1).Failed(); !errors.Is(err, errCrash) && !errors.Is(err, store.ErrClosed) {
			t.Fatal(err)
		}
		ready, cancel := context.WithCancel(t.Context())
		c.start(2)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if c.store(2).Ready(ready) == nil {
				err := c.store(2).View(ready, "p", func(r store.Reader) error {
					_, err := r.Get("entries", []byte("b"))
					return err
				})
				seenEmpty = errors.Is(err, store.ErrNotFound)
			}
		}()
		if f.hastyImport {
			<-done
		}
		c.stop(1)
		crash = false
		c.start(1)
		if !f.hastyImport {
			if err := errors.Join(c.store(1).Ready(t.Context()), c.store(2).Ready(t.Context())); err != nil {
				t.Fatal(err)
			}
			<-done
			if ids, _ := c.entries(2, "p"); !ids["b"] || c.store(2).Secret()[0] != 7 {
				t.Error("what was to be taken over is not there")
			}
		}
		cancel()
		<-done
		if seenEmpty != f.hastyImport {
			t.Errorf("with %+v a server has seen a part of the data: %v", f, seenEmpty)
		}
		c.close()
	}
}
