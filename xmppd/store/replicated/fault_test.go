package replicated

import (
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/storetest"
)

// kill cuts a server off and stops it: for the others it is as if the process had been killed.
func (c *cluster) kill(i int) {
	c.t.Helper()
	c.net.set(func() { c.net.cut[name(i)] = true })
	c.stop(i)
}

func (c *cluster) restart(i int) {
	c.t.Helper()
	c.net.set(func() { delete(c.net.cut, name(i)) })
	c.start(i)
}

// leaderOf is the server that leads the group of an owner.
func (c *cluster) leaderOf(owner string) (found int) {
	c.t.Helper()
	eventually(c.t, "there is a leader", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range 9 {
			s := c.stores[name(i)]
			if s == nil {
				continue
			}
			leader, ok := s.node.LeaderOf(s.ring.Load().Partition(rootOf(owner)))
			if found = i; ok && leader == s.dir.Member() {
				return true
			}
		}
		return false
	})
	return found
}

// TestLossAndDeath: every tenth payload is lost, every one is late, and the server that leads the group of an
// owner dies and comes back, again and again. Nothing is lost or done twice.
func TestLossAndDeath(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(3)
	c.net.set(func() { c.net.loss, c.net.delay = 0.1, time.Millisecond })
	l := newLedger(4)
	stops := make([]chan struct{}, 4)
	load := func(i int) {
		stops[i] = make(chan struct{})
		l.run(c.store(i), stops[i])
	}
	for i := 1; i <= 3; i++ {
		load(i)
	}
	for round := range 4 {
		l.more(t, 15)
		i := c.leaderOf(owner(round))
		close(stops[i])
		c.kill(i)
		l.more(t, 15)
		c.restart(i)
		load(i)
	}
	l.more(t, 15)
	l.end()
	for i := 1; i <= 3; i++ {
		if err := l.audit(t.Context(), c.store(i)); err != nil {
			t.Errorf("at server %d: %v", i, err)
		}
	}
}

// TestSuiteUnderFaults: what every store has to do holds while every tenth payload is lost and the server that
// leads the group of the cases' owner dies, again and again.
func TestSuiteUnderFaults(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(3)
	for _, property := range storetest.Cases() {
		loss := 0.1
		switch property.Name {
		case "Durable", "Close":
			continue
		case "LargeValues", "Owners", "Model": // many operations, one after the other
			loss = 0.01
		}
		t.Run(property.Name, func(t *testing.T) {
			c.net.set(func() { c.net.loss = loss })
			died := make(chan int)
			go func() {
				victim := c.leaderOf("o")
				if victim == 2 { // the cases' own
					victim = 3
				}
				c.kill(victim)
				died <- victim
			}()
			err := property.Run(t.Context(), func() store.Store { return storetest.Lend(c.store(2)) })
			c.restart(<-died)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
