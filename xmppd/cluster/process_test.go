package cluster

import (
	"net"
	"testing"

	"github.com/hashicorp/memberlist"
)

// hears has a node hear of a server's process, as memberlist tells it.
func (n *Node) hears(t *testing.T, server string, process uint64) {
	t.Helper()
	meta, err := (&Member{Name: server, Incarnation: process, State: Up}).encode()
	if err != nil {
		t.Fatal(err)
	}
	(*events)(n).NotifyUpdate(&memberlist.Node{Name: server, Addr: net.IPv4(127, 0, 0, 1), Port: 1, Meta: meta})
}

// TestCurrent: what gossip tells of a server counts when it is of the process that is connected, not when it is of the one before.
func TestCurrent(t *testing.T) {
	for _, f := range []faults{{}, {anyProcess: true}} {
		w := newWorld(t)
		a := w.node("a", func(c *Config) { c.faults = f })
		b := w.node("b", nil, a.Addr())
		whole(t, a, b)
		if !a.Current("b") || a.Current("c") {
			t.Errorf("%+v: b: %v, a server that is not there: %v", f, a.Current("b"), a.Current("c"))
		}
		a.mu.Lock()
		m := a.members["b"]
		m.Incarnation++
		a.members["b"] = m
		a.mu.Unlock()
		if a.Current("b") != f.anyProcess {
			t.Errorf("%+v: what is told of another process counts: %v", f, a.Current("b"))
		}
	}
}

// TestByeOfLastProcess: a server that has said that it leaves is not looked for when it is gone, however often gossip tells of it
// meanwhile; a new process of it, which has not said so, is.
func TestByeOfLastProcess(t *testing.T) {
	for _, f := range []faults{{}, {leftOnce: true}} {
		for process, looked := range map[uint64]bool{1: false, 2: !f.leftOnce} {
			w := newWorld(t)
			a := w.node("a", func(c *Config) { c.faults = f })
			a.hears(t, "b", 1)
			a.control("b", []byte(bye))
			a.hears(t, "b", process)
			(*events)(a).NotifyLeave(&memberlist.Node{Name: "b"})
			a.mu.Lock()
			_, is := a.known["b"]
			a.mu.Unlock()
			if is != looked {
				t.Errorf("%+v, process %d: looked for: %v", f, process, is)
			}
		}
	}
}
