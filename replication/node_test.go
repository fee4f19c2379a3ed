package replication

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/wal"
)

func TestClusterWritesReadsRestarts(t *testing.T) {
	c := newTestCluster(t, 3, 4, nil)
	s := c.session(2)
	for i := range 50 {
		res := c.write(2, put(s, uint64(i+1), "root", fmt.Sprint("p", i), fmt.Sprint("v", i)))
		if res.Code != op.OK {
			t.Fatalf("write %d: %+v", i, res)
		}
	}
	check := func() {
		t.Helper()
		for i := range 50 {
			res := c.read(2, get("root", fmt.Sprint("p", i)))
			if res.Code != op.OK || string(res.Objects[0].Value) != fmt.Sprint("v", i) {
				t.Fatalf("read %d: %+v", i, res)
			}
		}
	}
	check()
	for i := range 3 {
		c.stop(i)
		check()
		c.start(i)
	}
	check()
	for i := range 3 {
		c.stop(i)
	}
	for i := range 3 {
		c.start(i)
	}
	check()
}

func TestHintMakesFailOverQuick(t *testing.T) {
	c := newTestCluster(t, 3, 6, nil)
	c.waitPreferred()
	s := c.session(0)
	if res := c.write(0, put(s, 1, "root", "p", "v")); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	c.net.setCut(1, true) // as a kill would: it hears and says nothing any more
	began := time.Now()
	for i := 1; i < 3; i++ {
		c.node(i).PeerDown(1)
	}
	var gap time.Duration
	eventually(t, "another node leads and writes", func() bool {
		for i := 1; i < 3; i++ {
			if res := propose(c.node(i), 0, put(s, 2, "root", "p", "w")); res.Code == op.OK {
				gap = time.Since(began)
				return true
			}
		}
		return false
	})
	t.Logf("writes went on after %v", gap)
	c.net.setCut(1, false)
	c.waitPreferred()
}

// TestInboxTakesOneLargeBatch: a snapshot above the bound must get in, or its receiver would
// never catch up; but only one at a time.
func TestInboxTakesOneLargeBatch(t *testing.T) {
	b := inbox{wake: make(chan struct{}, 1)}
	if !b.batch(2, make([]byte, maxInbound+1)) {
		t.Fatal("a large batch was dropped though nothing waits")
	}
	if b.batch(2, []byte("x")) {
		t.Fatal("a batch was taken above the bound")
	}
	if e, _ := b.take(events{}); len(e.batches) != 1 || !b.batch(2, []byte("x")) {
		t.Fatal("taking the events makes no room")
	}
}

// TestALeaderWithoutMajorityStepsDown, though its groups were asleep: else it would tell
// operators for ever that it leads.
func TestALeaderWithoutMajorityStepsDown(t *testing.T) {
	c := newTestCluster(t, 3, 6, nil)
	c.waitPreferred()
	c.waitAsleep()
	if c.node(0).Status().Led == 0 {
		t.Fatal("node 1 leads nothing")
	}
	c.net.setCut(2, true)
	c.net.setCut(3, true)
	c.node(0).PeerDown(2)
	c.node(0).PeerDown(3)
	eventually(t, "it leads nothing any more", func() bool { return c.node(0).Status().Led == 0 })
}

func TestFarBehindGetsASnapshot(t *testing.T) {
	c := newTestCluster(t, 3, 2, nil)
	s := c.session(1)
	c.stop(0)
	var wg sync.WaitGroup
	leader := c.leader(1)
	for i := range 3000 {
		wg.Add(1)
		leader.ProposeBatch([]Proposal{{Group: 1, Cmd: put(s, uint64(i+1), "root", fmt.Sprint("p", i%50), "v"), Done: func(op.WriteResult) { wg.Done() }}})
	}
	wg.Wait()
	c.start(0)
	eventually(t, "the replica that was away is level", func() bool {
		var last uint64
		for i := range 3 {
			for _, g := range c.node(i).Groups() {
				if g.Group == 1 {
					if i == 0 {
						last = g.Applied
					} else if g.Applied != last {
						return false
					}
				}
			}
		}
		return last > 3000
	})
	if a, b := c.node(0).part(1).Digest(), c.node(1).part(1).Digest(); a != b {
		t.Errorf("states differ: %x, %x", a, b)
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	disk := wal.NewMemFS()
	full := make(chan bool, 8)
	c := newTestCluster(t, 1, 1, func(cfg *Config) {
		cfg.fs = disk
		cfg.WAL.SegmentSize = 64 << 10
		cfg.OnFull = func(f bool) { full <- f }
	})
	s := c.session(0)
	seq := uint64(0)
	write := func() op.WriteResult {
		seq++
		return propose(c.node(0), 0, put(s, seq, "root", "p", strings.Repeat("x", 4000)))
	}
	if res := write(); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	disk.SetCapacity(disk.Used())
	stuck := make(chan op.WriteResult, 1000)
	go func() { // the one that meets the full disk waits for room
		for range 200 {
			res := write()
			stuck <- res
			if res.Code != op.OK {
				return
			}
		}
	}()
	if !<-full {
		t.Fatal("the disk is said to have room")
	}
	eventually(t, "writes are refused", func() bool {
		return propose(c.node(0), 0, put(s, 1, "root", "q", "v")).Code == op.Full
	})
	if res := c.read(0, get("root", "p")); res.Code != op.OK {
		t.Errorf("read with a full disk: %+v", res)
	}
	if !c.node(0).Status().Full {
		t.Error("status does not say that the disk is full")
	}
	disk.SetCapacity(0)
	if <-full {
		t.Fatal("the disk is said to be full still")
	}
	for res := range stuck {
		if res.Code == op.Full {
			break
		}
		if res.Code != op.OK {
			t.Fatalf("write that met the full disk: %+v", res)
		}
		if len(stuck) == 0 {
			break
		}
	}
	eventually(t, "writes go on", func() bool {
		return propose(c.node(0), 0, put(s, 500, "root", "q", "v")).Code == op.OK
	})
}

func TestFsyncErrorStopsTheNode(t *testing.T) {
	disks := make(map[uint64]*wal.MemFS)
	var mu sync.Mutex
	fatal := make(chan error, 8)
	c := newTestCluster(t, 3, 3, func(cfg *Config) {
		mu.Lock()
		defer mu.Unlock()
		disk := wal.NewMemFS()
		disks[cfg.Transport.(testLink).from] = disk
		cfg.fs = disk
		cfg.OnFatal = func(err error) { fatal <- err }
	})
	c.waitPreferred()
	s := c.session(0)
	broken := errors.New("medium error")
	disks[1].Inject(func(o wal.Op, _ string) error {
		if o == wal.OpSync {
			return broken
		}
		return nil
	})
	if res := propose(c.node(0), 0, put(s, 1, "root", "p", "v")); res.Code == op.Unavailable {
		t.Errorf("a write under way at the error is said to be surely not applied: %+v", res)
	}
	if err := <-fatal; !errors.Is(err, broken) {
		t.Errorf("fatal error: %v", err)
	}
	if res := propose(c.node(0), 0, put(s, 2, "root", "p", "v")); res.Code != op.Unavailable {
		t.Errorf("a stopped node answers %+v", res)
	}
	if res := read(c.node(0), 0, get("root", "p")); res.Code != op.Unavailable {
		t.Errorf("a stopped node answers %+v", res)
	}
	if c.node(0).Status().Fatal == "" {
		t.Error("status does not tell the error")
	}
	eventually(t, "the others go on", func() bool {
		for i := 1; i < 3; i++ {
			if propose(c.node(i), 0, put(s, 1, "root", "p", "v")).Code == op.OK {
				return true
			}
		}
		return false
	})
}

func TestCloseAnswersEverything(t *testing.T) {
	c := newTestCluster(t, 3, 4, nil)
	s := c.session(2)
	n := c.leader(2)
	var answers atomic.Int64
	const asked = 500
	for i := range asked {
		n.ProposeBatch([]Proposal{{Group: 2, Cmd: put(s, uint64(i+1), "root", "p", "v"), Done: func(op.WriteResult) { answers.Add(1) }}})
		n.Read([]ReadRequest{{Group: 2, Read: get("root", "p"), Done: func(op.ReadResult) { answers.Add(1) }}})
	}
	for i := range c.dirs {
		if c.node(i) == n {
			c.stop(i)
		}
	}
	if got := answers.Load(); got != 2*asked {
		t.Errorf("%d of %d requests were answered when Close returned", got, 2*asked)
	}
	if res := propose(n, 2, nil); res.Code != op.Unavailable {
		t.Errorf("a closed node answers %+v", res)
	}
}
