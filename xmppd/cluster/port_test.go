package cluster

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// strange connects to a server's port from an address where no server is.
func strange(t *testing.T, to *Node) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := d.Dial("tcp", to.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestFloodFromOneAddress: who opens connections and says nothing, or begins TLS or gossip and does not go on, is cut off at
// half of what there is for strangers, and servers at another address meet all the same.
func TestFloodFromOneAddress(t *testing.T) {
	for name, says := range map[string]string{"nothing": "", "the beginning of TLS": "\x16\x03\x01", "the beginning of gossip": "\xf4\x01c\x0a"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.node("a", nil)
			for range 2 * maxOfOne {
				_, _ = strange(t, a).Write([]byte(says)) // one that was closed at once takes nothing
			}
			eventually(t, "the log tells", func() bool { return w.logged("too many connections at once of one address") })
			b := w.node("b", nil, a.Addr())
			whole(t, a, b)
		})
	}
}

// TestGuestsAreCounted: connections count for the whole until they are closed or known, but not those of members.
func TestGuestsAreCounted(t *testing.T) {
	member := false
	g := guests{member: func(string) bool { return member }}
	var open []*guest
	from := func(i byte) (*guest, string) { return g.admit(&fakeConn{from: net.IPv4(10, 0, i, 1)}) }
	for i := range maxGuests {
		c, why := from(byte(i))
		if c == nil {
			t.Fatal(why)
		}
		open = append(open, c)
	}
	if c, _ := from(200); c != nil {
		t.Error("one too many is taken")
	}
	member = true
	if c, why := from(200); c == nil {
		t.Errorf("a member is not taken: %s", why)
	}
	member = false
	open[0].known()
	if err := open[0].Close(); err != nil { // no harm
		t.Error(err)
	}
	if c, why := from(200); c == nil {
		t.Errorf("there is room for one: %s", why)
	}
	if c, _ := from(201); c != nil {
		t.Error("who is known and then closed was counted twice")
	}
}

// fakeConn is a connection from somewhere.
type fakeConn struct {
	net.Conn
	from net.IP
}

func (c *fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: c.from} }
func (*fakeConn) Close() error           { return nil }

// TestLongGossip: a stream that says more than any cluster has to say is ended long before it takes much memory.
func TestLongGossip(t *testing.T) {
	w, reg := newWorld(t), prometheus.NewRegistry()
	a := w.node("a", func(c *Config) { c.Registerer = reg })
	c := strange(t, a)
	_, err := c.Write([]byte("\xf4\x01c\x0a\x01\x00\x00\x00")) // encrypted, 16 MiB
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for piece := make([]byte, 64<<10); err == nil; {
		_, err = c.Write(piece)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it is neither taken nor ended")
	}
	eventually(t, "it is counted", func() bool { return refused(t, reg, reasonSize) == 1 })
	eventually(t, "the log tells", func() bool { return w.logged("longer than that of any cluster") })
}

// TestNoticesUncounted and TestNoticesEndless: the planted bugs show.
func TestNoticesUncounted(t *testing.T) {
	w, reg := newWorld(t), prometheus.NewRegistry()
	var known atomic.Int32
	a := w.node("a", func(c *Config) { c.Registerer, c.faults.uncounted = reg, func() { known.Add(1) } })
	for i := range int32(2 * maxOfOne) {
		if _, err := strange(t, a).Write([]byte("\xf4\x01c\x0a")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is taken and counts no more, or is refused", func() bool {
			return known.Load() > i || refused(t, reg, reasonFlood) > 0
		})
	}
	if n := refused(t, reg, reasonFlood); n != 0 {
		t.Errorf("%v connections are refused all the same", n)
	}
}

func TestNoticesEndless(t *testing.T) {
	w, reg := newWorld(t), prometheus.NewRegistry()
	a := w.node("a", func(c *Config) { c.Registerer, c.faults.endless = reg, true })
	c := strange(t, a)
	_, err := c.Write(append([]byte("\xf4\x01c\x0a\x00\x04\x00\x00"), make([]byte, 256<<10)...)) // encrypted, 256 KiB
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all of it is read", func() bool { return refused(t, reg, reasonGossip) == 1 })
	if n := refused(t, reg, reasonSize); n != 0 {
		t.Errorf("it is refused all the same")
	}
}

// refused is a server's count of what it has refused for a reason.
func refused(t *testing.T, reg *prometheus.Registry, reason string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == "xmppd_cluster_refused_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no count of %q", reason)
	return 0
}

// TestPortTaken: an address that another program has is told with what to do.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	p, err := openPort(&Config{Listen: taken.Addr().String()}, nil, nil)
	if err == nil {
		_ = p.Shutdown()
	}
	if err == nil || !strings.Contains(err.Error(), "give cluster.listen another port") {
		t.Error(err)
	}
}
