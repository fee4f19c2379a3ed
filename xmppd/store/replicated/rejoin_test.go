package replicated

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/ring"
)

// TestJoinCalledOff: while a new server joins, one that is dead is removed, which calls the join off. The new one
// has its number in the ring by then, and replicas that are still empty; it joins again, under another number, by itself, and
// holds what it is asked for.
func TestJoinCalledOff(t *testing.T) {
	for _, f := range []faults{{}, {joinsOnce: true}} {
		c := newCluster(t, memory(t), func(o *Options) { o.faults = f })
		c.found(3)
		c.sure("an entry", func() error { return add(c, 1, "o", "first") })
		c.kill(2)
		c.net.set(func() { // nothing is copied to it, so that it can't become a member for good
			c.net.sent = func(from, to string, payload []byte) bool {
				return from != name(4) && to != name(4) || payload[len(payload)-1] != payloadRaft
			}
		})
		c.start(4)
		eventually(t, "it has a number in the ring", func() bool { return c.store(4).dir.Member() != 0 })
		was := c.store(4).dir.Member()
		c.sure("the removal of the dead one", func() error { return c.store(1).Leave(context.Background(), name(2)) })
		eventually(t, "the join was called off", func() bool {
			_, there := c.store(1).ring.Load().Member(was)
			return !there
		})
		if f.joinsOnce {
			eventually(t, "it takes itself for one that has left", func() bool { return errors.Is(c.store(4).Health(), ErrLeft) })
			c.close()
			continue
		}
		c.net.set(func() { c.net.sent = nil })
		c.settled(3)
		eventually(t, "it holds its share", func() bool {
			doc := c.store(1).ring.Load()
			m, _ := doc.ByJID(jidOf(name(4)))
			return c.store(4).dir.Member() == m.ID && m.ID > was && m.State == ring.Active
		})
		if err := c.store(4).Health(); err != nil {
			t.Error(err)
		}
		for _, i := range []int{1, 3, 4} {
			eventually(t, "nobody is to leave any more", func() bool { return len(c.store(i).leavers(c.store(i).ring.Load())) == 0 })
		}
		c.stop(4)
		c.start(4) // what it is now it is after a restart, too
		c.waitReady()
		c.kill(1) // a majority needs it
		c.sure("an entry with its help", func() error { return add(c, 3, "o", "second") })
		if ids, count := c.entries(4, "o"); !ids["first"] || !ids["second"] || count != "2" {
			t.Errorf("entries %v, counted %s", ids, count)
		}
		c.close()
	}
}

// TestLeaversComeFirst: who is to leave does so in the change that follows the one that was called off for it, whoever
// joins.
func TestLeaversComeFirst(t *testing.T) {
	var members []ring.Member
	for i := range 3 {
		members = append(members, ring.Member{JID: jidOf(name(i + 1)), Store: uuid.NewString()})
	}
	doc, err := ring.New(members, ring.Options{Cluster: uuid.NewString(), Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []faults{{}, {joinsFirst: true}} {
		s := &Store{opt: Options{faults: f}}
		s.leaving.Store(doc.Members[1].Store, name(2))
		next, _, err := nextRing(doc, append([]Server{{Name: name(4), Store: uuid.NewString()}}, s.leavers(doc)...), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		leaves := slices.ContainsFunc(next.Members, func(m ring.Member) bool { return nameOf(m) == name(2) && m.State == ring.Leaving })
		if _, joins := next.ByJID(jidOf(name(4))); leaves == f.joinsFirst || !joins {
			t.Errorf("with %+v: %+v", f, next.Members)
		}
		if !f.joinsFirst && len(s.leavers(next)) != 0 {
			t.Error("who leaves is to leave once more")
		}
	}
}
