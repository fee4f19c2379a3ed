package cluster

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// stopped closes a server that is waiting for one which has taken its gossip and stands still, and reports whether that has ended before
// the other one has said anything; else it goes on for it to end.
func stopped(t *testing.T, f faults, within time.Duration) bool {
	t.Helper()
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frozen.Close() }()
	f.quick = func(m *memberlist.Config) { m.TCPTimeout = time.Hour }
	w := newWorld(t)
	a := w.node("a", func(c *Config) { c.faults = f }, frozen.Addr().String())
	conn, err := frozen.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.close(a)
	}()
	select {
	case <-done:
		_ = conn.Close()
		return true
	case <-time.After(within):
	}
	_ = frozen.Close()
	_ = conn.Close()
	<-done
	return false
}

// TestStopBesideFrozen: a server that stops does not wait for one that stands still.
func TestStopBesideFrozen(t *testing.T) {
	if !stopped(t, faults{}, 3*time.Minute) {
		t.Error("it waits for who stands still")
	}
}

// TestNoticesWaiting: the test above would notice it.
func TestNoticesWaiting(t *testing.T) {
	if stopped(t, faults{waits: true}, 5*time.Second) {
		t.Error("the planted bug does not show")
	}
}
