package cluster

import (
	"net"
	"testing"
)

// TestFloodFromOneAddress: who opens connections and says nothing is cut off at half of what there is for
// strangers, and servers at another address meet all the same.
func TestFloodFromOneAddress(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", nil)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 2 * maxUnknown {
		c, err := d.Dial("tcp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	eventually(t, "the log tells", func() bool { return w.logged("too many connections at once of one address") })
	b := w.node("b", nil, a.Addr())
	whole(t, a, b)
}
