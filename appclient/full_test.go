package appclient_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// disks are the nodes' disks.
type disks struct {
	mu    sync.Mutex
	full  map[string]bool // by node
	asked map[string]int
	after func(asked int) // called after each refusal
}

func (d *disks) fault(st appclienttest.Stanza) (f appclienttest.Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if st.Opens+st.Writes+st.Settles == 0 || !d.full[st.Node] {
		return f
	}
	d.asked[st.Node]++
	n := d.asked[st.Node]
	f = appclienttest.Fault{Refuse: op.Full, RetryAfter: time.Millisecond}
	if d.after != nil {
		f.Then = func() { d.after(n) }
	}
	return f
}

// withDisks makes a cluster of three, in which no node has room, and a client.
func withDisks(t *testing.T, f appclient.Faults) (*appclienttest.Cluster, *disks, *appclient.Client) {
	t.Helper()
	d := &disks{full: make(map[string]bool), asked: make(map[string]int)}
	cl := cluster(t, appclienttest.Options{Fault: d.fault})
	d.mu.Lock()
	for _, jid := range cl.Nodes() {
		d.full[jid] = true
	}
	d.mu.Unlock()
	cfg := cl.Config()
	cfg.TryTimeout = time.Minute // no try is to end for the slowness of a machine
	c, err := appclient.DialWith(deadline(t), cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // never fails
	return cl, d, c
}

// putWhileLeaderFull writes while the leader is full; it hands over when it has
// been asked five times.
func putWhileLeaderFull(t *testing.T, f appclient.Faults) (applied, asked int, err error) {
	cl, d, c := withDisks(t, f)
	leader := c.Where("r").Leader
	d.mu.Lock()
	for jid := range d.full {
		d.full[jid] = jid == leader
	}
	d.after = func(asked int) {
		if asked == 5 {
			cl.Lead(1)
		}
	}
	d.mu.Unlock()
	c.SetFullFor(0) // answers that are not "full" keep the caller waiting, not a time
	_, err = c.Root("r").Put(deadline(t), "p", []byte("v"))
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(cl.Applied()), d.asked[leader], err
}

func TestFullLeaderIsNoError(t *testing.T) {
	applied, asked, err := putWhileLeaderFull(t, appclient.Faults{})
	if err != nil || applied != 1 || asked < 5 {
		t.Errorf("a write while one disk of three is full: %v, applied %d times; the leader was asked %d times", err, applied, asked)
	}
	if _, _, err := putWhileLeaderFull(t, appclient.Faults{FullIsFinal: true}); !errors.Is(err, appclient.ErrFull) {
		t.Errorf("a client that gives up at the first full disk told %v; the test cannot see it", err)
	}
}

// TestAllFull: the caller hears of it long before its time is up, and nothing is
// waited for once all replicas have been asked.
func TestAllFull(t *testing.T) {
	cl, d, c := withDisks(t, appclient.Faults{})
	c.SetFullFor(time.Hour)
	for _, write := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := c.Root("r").Put(ctx, "p", nil); return err },
		func(ctx context.Context) error { _, err := c.Root("r").Increment(ctx, "n", 1); return err },
		func(ctx context.Context) error { _, err := c.Root("r").NewOp(ctx); return err },
	} {
		err := write(deadline(t))
		if !errors.Is(err, appclient.ErrFull) || claims(err) != "not applied" || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("where all disks are full: %v", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.asked) != 3 || len(cl.Applied()) != 0 {
		t.Errorf("asked %v, applied %d writes", d.asked, len(cl.Applied()))
	}
}

// TestFullAndGone: of replicas that cannot be asked nobody knows whether they have
// room. They are waited for, but not for ever.
func TestFullAndGone(t *testing.T) {
	cl, _, c := withDisks(t, appclient.Faults{})
	cl.SetOnline(2, false)
	until(t, "a node offline", func() bool { return c.Stats().Nodes == 2 })
	c.SetFullFor(20 * time.Millisecond)
	if _, err := c.Root("r").Put(deadline(t), "p", nil); !errors.Is(err, appclient.ErrFull) || claims(err) != "not applied" {
		t.Errorf("two disks full and a node gone: %v", err)
	}
}

// TestFullAfterLostLeadership: what an earlier copy did is unknown, and told as such.
func TestFullAfterLostLeadership(t *testing.T) {
	s := &script{}
	cl := cluster(t, appclienttest.Options{Fault: s.next})
	c := dial(t, cl, func(cfg *appclient.Config) { cfg.TryTimeout = time.Minute })
	faults := []appclienttest.Fault{{ApplyAndSay: op.Retry}}
	for range 10_000 {
		faults = append(faults, appclienttest.Fault{Refuse: op.Full})
	}
	c.SetFullFor(20 * time.Millisecond)
	s.warmUp(t, c, faults)
	_, err := c.Root("r").Put(deadline(t), "p", []byte("v"))
	if claims(err) != "unknown" || !errors.Is(err, appclient.ErrFull) || errors.Is(err, context.DeadlineExceeded) || len(cl.Applied()) != 2 {
		t.Errorf("told %v of a write applied %d times", err, len(cl.Applied())-1)
	}
}
