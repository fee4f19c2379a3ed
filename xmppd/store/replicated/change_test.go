package replicated

import (
	"errors"
	"testing"
)

// TestServersComeAndGo: a cluster grows from one server to five and shrinks to two, without those that
// founded it, while updates go on at every server; nothing is lost and nothing is done twice.
func TestServersComeAndGo(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.grow(1)
	l := newLedger(6)
	stops := make(map[int]chan struct{})
	load := func(i int) {
		stops[i] = make(chan struct{})
		l.run(c.store(i), stops[i])
	}
	load(1)
	for i := 2; i <= 5; i++ {
		c.start(i)
		load(i) // also before it holds anything
		l.more(t, 20)
	}
	c.settled(5)
	l.more(t, 20)
	for _, gone := range []int{1, 2, 3} {
		c.leave(gone)
		s := c.store(gone)
		eventually(t, "a server has left", s.left.Load)
		l.more(t, 20) // it goes on serving by the others
		if err := <-s.Failed(); !errors.Is(err, ErrLeft) {
			t.Errorf("server %d: %v", gone, err)
		}
		close(stops[gone])
		c.stop(gone)
		c.settled(5 - gone)
		l.more(t, 20)
	}
	l.end()
	for i := 4; i <= 5; i++ {
		if err := l.audit(t.Context(), c.store(i)); err != nil {
			t.Errorf("at server %d: %v", i, err)
		}
	}
}
