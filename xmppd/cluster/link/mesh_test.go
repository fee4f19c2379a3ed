package link

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestOrderBothWays(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", nil), start(t, ca, "b", nil)
	meet(t, a, b)
	want := numbers(0, 2000)
	for _, n := range want {
		a.send(t, "b", kept, n)
		b.send(t, "a", lossy, n)
	}
	for _, n := range []*node{a, b} {
		eventually(t, "all has come", func() bool { return len(n.read(&n.came)) >= len(want) })
		if got := n.read(&n.came); !slices.Equal(got, want) {
			t.Errorf("%s got %d payloads, not those sent in their order", n.cfg.Name, len(got))
		}
	}
	eventually(t, "all is acknowledged", func() bool { return a.Mesh.peer("b").settled() })
	if s := a.Status()[0]; s.Batches > s.Frames || s.Frames < 2000 || s.Bytes == 0 || s.Queue != 0 {
		t.Errorf("status: %+v", s)
	}
}

// TestBatches: what gathers while nothing can be written goes out together.
func TestBatches(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", func(c *Config) { c.Window = 1 }), start(t, ca, "b", nil)
	meet(t, a, b)
	// With a window of one byte a batch goes out when the one before is acknowledged.
	for _, n := range numbers(0, 3000) {
		a.send(t, "b", kept, n)
	}
	eventually(t, "all has come", func() bool { return len(b.read(&b.came)) == 3000 })
	if s := a.Status()[0]; s.Batches > s.Frames/2 {
		t.Errorf("%d writes for %d frames", s.Batches, s.Frames)
	}
}

func TestUpAndDownAlternate(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", nil), start(t, ca, "b", nil)
	p := newProxy(t, b.addr)
	a.SetPeers([]Peer{{"b", p.addr}})
	b.SetPeers([]Peer{a.peer()})
	for i := range 5 {
		eventually(t, "connected", func() bool { return len(a.Connected()) == 1 && len(b.Connected()) == 1 })
		a.send(t, "b", lossy, "x")
		eventually(t, "received", func() bool { return len(b.read(&b.came)) > 0 })
		b.mu.Lock()
		b.came = nil
		b.mu.Unlock()
		p.cut()
		eventually(t, "both have noticed", func() bool { return downs(a) > i && downs(b) > i })
	}
	for _, n := range []*node{a, b} {
		up := false
		for _, e := range n.read(&n.events) {
			switch {
			case strings.HasPrefix(e, "up") && !up, strings.HasPrefix(e, "down") && up:
				up = !up
			case strings.HasPrefix(e, "got") && up:
			default:
				t.Fatalf("%s: %q while up is %v", n.cfg.Name, e, up)
			}
		}
	}
}

func ups(n *node) int   { return countOf(n, "up ") }
func downs(n *node) int { return countOf(n, "down ") }

func countOf(n *node, prefix string) (c int) {
	for _, e := range n.read(&n.events) {
		if strings.HasPrefix(e, prefix) {
			c++
		}
	}
	return c
}

func TestSendRefuses(t *testing.T) {
	ca := newAuthority(t)
	a := start(t, ca, "a", func(c *Config) { c.Queue = 100; c.BulkQueue = 100; c.Window = 1 })
	b := start(t, ca, "b", nil)
	if err := a.Send("b", kept, []byte("x")); !errors.Is(err, ErrDown) {
		t.Errorf("to a stranger: %v", err)
	}
	p := newProxy(t, b.addr)
	a.SetPeers([]Peer{{"b", p.addr}})
	b.SetPeers([]Peer{a.peer()})
	eventually(t, "connected", func() bool { return len(a.Connected()) == 1 && len(b.Connected()) == 1 })
	if err := a.Send("b", kept, make([]byte, MaxFrame+1)); err == nil || errors.Is(err, ErrFull) {
		t.Errorf("too large: %v", err)
	}
	p.set(func() { p.held = true })
	for _, ch := range []Channel{kept, inBulk} {
		// One batch is on its way and not acknowledged, then the queue fills.
		var err error
		sent := 0
		for ; err == nil && sent < 1000; sent++ {
			err = a.Send("b", ch, make([]byte, 30))
		}
		if !errors.Is(err, ErrFull) {
			t.Errorf("channel %d, send %d: %v", ch, sent, err)
		}
	}
	p.set(func() { p.held = false })
	eventually(t, "the queue runs empty", func() bool { return a.Status()[0].Queue == 0 })
	a.send(t, "b", kept, "again")
}

// TestBulkTakesTurns: urgent frames don't wait behind bulk that came before.
func TestBulkTakesTurns(t *testing.T) {
	var q queue
	q.wake = make(chan struct{}, 1)
	q.start()
	for range 4 {
		if err := q.put(inBulk, true, 10*bulkBatch, bulkBatch-maxHeader, make([]byte, bulkBatch-maxHeader)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.put(kept, false, 100, 1, []byte("x")); err != nil {
		t.Fatal(err)
	}
	var order []Channel
	for b := q.take(); b.frames > 0; b = q.take() {
		ch, _, _, _ := cutFrame(b.b)
		order = append(order, ch)
	}
	if len(order) != 5 || order[0] != kept && order[1] != kept {
		t.Errorf("order: %v", order)
	}
	if q.bytes() != 0 {
		t.Errorf("%d bytes wait in an empty queue", q.bytes())
	}
}
