package cluster

import (
	"net"
	"net/netip"
	"testing"

	"github.com/hashicorp/memberlist"
)

// resets is how often a node has had others cut off.
func (n *Node) resets() (sum uint64) {
	for _, s := range n.mesh.Status() {
		sum += s.Resets
	}
	return sum
}

// TestStopIsNoFailure: a server that says that it stops is not told as one that has failed, and one that says nothing is.
func TestStopIsNoFailure(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", nil)
	b, c := w.node("b", nil, a.Addr()), w.node("c", nil, a.Addr())
	whole(t, a, b, c)
	w.close(b)
	eventually(t, "the log tells", func() bool { return w.logged(`level=INFO msg="server has stopped" server=b`) })
	whole(t, a, c)
	if w.logged("is cut off") || w.logged("can't be reached") {
		t.Error("the end of a server is told as a failure")
	}
	b = w.node("b", nil, a.Addr())
	whole(t, a, b, c)
	b.crash()
	eventually(t, "the log tells", func() bool { return w.count(`level=WARN msg="server is cut off" server=b`) == 2 })
}

// TestByeBehindGossip: who has said that it leaves is not looked for any more, whichever is heard first, that or that it is gone.
func TestByeBehindGossip(t *testing.T) {
	for name, hear := range map[string]func(n *Node, gone *memberlist.Node){
		"before": func(n *Node, gone *memberlist.Node) {
			n.leaves("b")
			(*events)(n).NotifyLeave(gone)
		},
		"behind": func(n *Node, gone *memberlist.Node) {
			(*events)(n).NotifyLeave(gone)
			n.leaves("b")
		},
		"never": func(n *Node, gone *memberlist.Node) { (*events)(n).NotifyLeave(gone) },
	} {
		n := &Node{known: map[string]place{"b": {addr: "127.0.0.1:1"}}, wake: make(chan struct{}, 1)}
		hear(n, &memberlist.Node{Name: "b"})
		if looks := len(n.known) > 0; looks != (name == "never") {
			t.Errorf("%s: it is looked for: %v", name, looks)
		}
	}
}

// TestReconnect: who has something else to say of itself has all connect anew, which is no failure.
func TestReconnect(t *testing.T) {
	w := newWorld(t)
	a := w.node("a", nil)
	b, c := w.node("b", nil, a.Addr()), w.node("c", nil, a.Addr())
	whole(t, a, b, c)
	up := w.count("server is connected")
	a.Reconnect()
	eventually(t, "both have a new pair with it", func() bool { return w.count("server is connected") >= up+4 })
	whole(t, a, b, c)
	if w.logged("is cut off") || a.resets()+b.resets()+c.resets() > 0 {
		t.Error("it is told as a failure")
	}
}

// TestDialsFromWhereItListens: others see a server's connections come from its own address.
func TestDialsFromWhereItListens(t *testing.T) {
	w := newWorld(t)
	own := w.node("own", func(c *Config) { c.Listen = "127.51.0.3:0" })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	out, err := own.port.dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if from := addressOf(in); from != "127.51.0.3" {
		t.Errorf("it comes from %s", from)
	}
}

// listening is a listener at some address.
type listening struct {
	net.Listener
	at string
}

func (l listening) Addr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(l.at)) }

func TestFrom(t *testing.T) {
	for _, c := range []struct{ listens, to, from string }{
		{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:0"},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::1]:0"},
		{"[fe80::1%eth0]:1", "[fe80::2%eth0]:1", "[fe80::1%eth0]:0"},
		{"0.0.0.0:1", "10.0.0.2:1", ""},
		{"[::]:1", "10.0.0.2:1", ""},
		{"10.0.0.1:1", "[2001:db8::2]:1", ""},
		{"[2001:db8::1]:1", "10.0.0.2:1", ""},
		{"127.0.0.1:1", "10.0.0.2:1", ""}, // behind something that passes it on
		{"10.0.0.1:1", "x2.example:1", ""},
	} {
		got := ""
		if a := (&port{tcp: listening{at: c.listens}}).from(c.to); a != nil {
			got = a.String()
		}
		if got != c.from {
			t.Errorf("at %s, to %s: from %q, not %q", c.listens, c.to, got, c.from)
		}
	}
}

// TestNewerMember: what a newer server says more of itself, and of what is wanted, is passed over.
func TestNewerMember(t *testing.T) {
	var m Member
	if err := m.decode([]byte(`{"i":7,"v":1,"s":"up","l":{"n":3,"new":1},"more":{"x":[1]}}`)); err != nil || m.Incarnation != 7 || m.State != Up || m.Load.Sessions != 3 {
		t.Errorf("%+v, %v", m, err)
	}
	w := newWorld(t)
	a := w.node("a", nil)
	b := w.node("b", nil, a.Addr())
	whole(t, a, b)
	if err := b.Ask("a", "something new"); err != nil {
		t.Fatal(err)
	}
	b.Tell(func(_ *State, l *Load) { l.Sessions = 7 })
	eventually(t, "it is heard as before", func() bool { return a.Members()[1].Load.Sessions == 7 })
	whole(t, a, b)
}
