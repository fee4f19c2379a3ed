package replicated

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestFoundTogether: a cluster that is founded when three servers are there is one of three from the beginning, and outlives
// any of them at once.
func TestFoundTogether(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	var gate atomic.Bool
	c.tune = func(o *Options) {
		o.Follows = o.Name != name(2)
		if !o.Follows {
			o.Found = gate.Load
		}
	}
	for i := range 3 {
		c.start(i + 1)
	}
	gate.Store(true)
	c.settled(3)
	c.waitReady()
	if doc := c.store(1).ring.Load(); doc.Epoch != 1 {
		t.Errorf("the ring has changed since it was made: epoch %d", doc.Epoch)
	}
	c.sure("an entry", func() error { return add(c, 1, "o", "first") })
	c.kill(2)
	if ids, _ := c.entries(3, "o"); !ids["first"] {
		t.Error("what was there is lost")
	}
}

// TestRivals: of two servers that may found a cluster, and look for others at the same time, one does.
func TestRivals(t *testing.T) {
	for _, f := range []faults{{}, {rivals: true}} {
		var gate atomic.Bool
		both := meeting{asks: make(map[string]bool), met: make(chan struct{})}
		c := newCluster(t, memory(t), func(o *Options) {
			o.faults = f
			o.Found = func() bool {
				if gate.Load() {
					both.begin(o.Name)
				}
				return gate.Load()
			}
		})
		c.net.sent = both.pass
		c.start(1)
		c.start(2)
		gate.Store(true)
		eventually(t, "both have a ring", func() bool { return c.store(1).ring.Load() != nil && c.store(2).ring.Load() != nil })
		if same := c.store(1).ring.Load().Cluster == c.store(2).ring.Load().Cluster; same == f.rivals {
			t.Errorf("with %+v: they are of one cluster: %v", f, same)
		}
		c.close()
	}
}

// meeting has two servers that ask whether there is a ring hear that there is none before either goes on.
type meeting struct {
	mu    sync.Mutex
	asks  map[string]bool // servers that may found a cluster now
	heard int
	met   chan struct{}
}

func (m *meeting) begin(server string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.asks[server]; !known {
		m.asks[server] = true
	}
}

func (m *meeting) pass(_, to string, payload []byte) bool {
	if n := len(payload); n < callTrailer || payload[n-1] != payloadAnswer || op.Code(payload[1]) != op.NotFound {
		return true
	}
	m.mu.Lock()
	first := m.asks[to]
	if first {
		m.asks[to] = false
		if m.heard++; m.heard == 2 {
			close(m.met)
		}
	}
	m.mu.Unlock()
	if first {
		<-m.met
	}
	return true
}

// TestGone: nobody waits for the answer of a server that is gone, nor asks it; who waits for servers tries again when one
// is back.
func TestGone(t *testing.T) {
	c := newCluster(t, memory(t), nil)
	defer c.close()
	c.found(3)
	s := c.store(1)
	var asked atomic.Int64
	c.net.set(func() {
		c.net.sent = func(src, dst string, payload []byte) bool {
			if src == name(1) && dst == name(2) && payload[len(payload)-1] == payloadRequest && payload[1] == askLeave {
				asked.Add(1)
				return false
			}
			return true
		}
	})
	ask := func() error { // a member that is none: nothing comes of it
		a, err := s.askServer(t.Context(), name(2), &request{kind: askLeave, text: "x9"}, 2*time.Minute)
		if err == nil && a.code == op.Unavailable {
			return ErrUnavailable
		}
		return err
	}
	done := make(chan error)
	go func() { done <- ask() }()
	eventually(t, "it is asked", func() bool { return asked.Load() == 1 })
	s.ServerDown(name(2))
	if err := <-done; !errors.Is(err, errGone) {
		t.Errorf("it waited: %v", err)
	}
	if err := ask(); !errors.Is(err, ErrUnavailable) || asked.Load() != 1 {
		t.Errorf("asked again: %v", err)
	}
	waits := s.newTry(t.Context())
	waits.deadline, waits.rest = time.Now().Add(time.Hour), time.Hour
	go func() { done <- waits.pause() }()
	s.lost.add(1)
	var err error
	eventually(t, "it is woken", func() bool {
		s.ServerUp(name(2)) // it may not wait yet
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	if err != nil || s.lost.is(1) || s.calls.isDown(name(2)) {
		t.Errorf("after its return: %v", err)
	}
}
