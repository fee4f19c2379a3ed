package replicated

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/ring"
)

// TestRemovalIsRemembered: who begins to lead while a change is called off for a removal, and is asked for that again, has it
// begin when the change is at rest.
func TestRemovalIsRemembered(t *testing.T) {
	var members []ring.Member
	for i := range 3 {
		members = append(members, ring.Member{JID: jidOf(name(i + 1)), Store: uuid.NewString()})
	}
	doc, err := ring.New(members, ring.Options{Cluster: uuid.NewString(), Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	joins, _, err := nextRing(doc, []Server{{Name: name(4), Store: uuid.NewString()}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	off, err := joins.Cancel()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []faults{{}, {forgets: true}} {
		s := &Store{opt: Options{faults: f}}
		next, err := s.toLeave(off, off.Members[1])
		if next != nil || err != nil {
			t.Fatalf("a change is called off: %v, %v", next, err)
		}
		if known := len(s.leavers(off)) == 1; known == f.forgets {
			t.Errorf("with %+v: remembered %v", f, known)
		}
	}
}

// metaLeader is who decides about members, as the first server knows.
func (c *cluster) metaLeader(of int) (i int) {
	eventually(c.t, "somebody decides about members", func() bool {
		leader, ok := c.store(of).node.LeaderOf(ring.MetaPartition)
		m, known := c.store(of).ring.Load().Member(leader)
		if ok = ok && known; ok {
			i = slices.IndexFunc([]string{name(1), name(2), name(3)}, func(n string) bool { return n == nameOf(m) }) + 1
		}
		return ok && c.store(i) != nil
	})
	return i
}

// TestRefusedRemovalIsForgotten: of a removal that was begun before, and is refused by now, nothing comes later, nor of one that another leader
// was asked for.
func TestRefusedRemovalIsForgotten(t *testing.T) {
	for _, f := range []faults{{}, {clings: true}} {
		c := newCluster(t, memory(t), func(o *Options) {
			o.faults = f
			o.Takers = func() func(string) bool { return func(n string) bool { return n != name(3) } }
		})
		c.found(3)
		c.kill(3)
		s := c.store(c.metaLeader(1))
		needed, _ := s.ring.Load().ByJID(jidOf(name(2)))
		s.leaving.Store(needed.Store, name(2))
		if err := c.store(1).Leave(t.Context(), name(2)); !errors.Is(err, ErrNeeded) {
			t.Error(err)
		}
		if known := len(s.leavers(s.ring.Load())) > 0; known != f.clings {
			t.Errorf("with %+v: remembered %v", f, known)
		}
		other := c.store(3 - c.metaLeader(1))
		other.leaving.Store(needed.Store, name(2))
		other.manage(t.Context())
		if known := len(other.leavers(other.ring.Load())) > 0; known != f.clings {
			t.Errorf("with %+v: who does not lead remembers %v", f, known)
		}
		c.close()
	}
}

// TestRemovalOutlivesItsLeader: what was agreed is in the ring: when the leader that was asked is gone the status says that the
// server leaves, to ask again does no harm, and with the leader back it is done.
func TestRemovalOutlivesItsLeader(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(3)
	c.sure("an entry", func() error { return add(c, 1, "o", "first") })
	asked := c.metaLeader(1)
	leaves := asked%3 + 1
	third := 6 - asked - leaves
	held := c.store(asked).ring.Load().Epoch
	c.sure("the removal", func() error { return c.store(asked).Leave(t.Context(), name(leaves)) })
	if c.store(asked).ring.Load().Epoch == held {
		t.Error("agreed, and the ring says nothing of it")
	}
	c.stop(asked)
	eventually(t, "the others say that it leaves, or has left", func() bool {
		st := c.store(third).Status()
		i := slices.IndexFunc(st.Members, func(m MemberStatus) bool { return m.Name == name(leaves) })
		return i < 0 || st.Members[i].Leaving
	})
	c.start(asked)
	c.sure("the removal, asked for again", func() error {
		err := c.store(third).Leave(t.Context(), name(leaves))
		if errors.Is(err, ErrNoMember) {
			return nil // it is done
		}
		return err
	})
	eventually(t, "it has left", func() bool { return c.store(third).Moved(name(leaves)) && c.store(asked).Moved(name(leaves)) })
	if ids, _ := c.entries(third, "o"); !ids["first"] {
		t.Error("what was there is lost")
	}
}
