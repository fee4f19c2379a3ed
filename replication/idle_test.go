package replication

import (
	"syscall"
	"testing"
	"time"
)

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// TestIdleGroupsSleep: 271 groups without work must cost next to nothing, and
// wake when there is work.
func TestIdleGroupsSleep(t *testing.T) {
	c := newTestCluster(t, 3, 271, nil)
	c.waitPreferred()
	eventually(t, "all groups sleep", func() bool {
		for i := range c.dirs {
			if c.node(i).Status().Awake > 0 {
				return false
			}
		}
		return true
	})
	const span = 2 * time.Second
	before := cpuTime(t)
	time.Sleep(span) // the time that is measured; nothing is waited for
	used := cpuTime(t) - before
	perNode := float64(used) / float64(span) / 3
	t.Logf("an idle node with 271 groups uses %.2f%% of a core", 100*perNode)
	if perNode > 0.02 {
		t.Errorf("an idle node uses %.1f%% of a core; want less than 2%%", 100*perNode)
	}
	s := c.session(7)
	if res := c.write(7, put(s, 1, "root", "p", "v")); res.Code != 1 {
		t.Errorf("write to a sleeping group: %+v", res)
	}
}

// waitPreferred waits until each group is led by the replica the table prefers.
func (c *testCluster) waitPreferred() {
	c.t.Helper()
	eventually(c.t, "the preferred replicas lead", func() bool {
		for p, row := range c.doc.Table {
			n := c.node(int(row[0]) - 1)
			if l, ok := n.LeaderOf(uint32(p)); !ok || l != row[0] {
				return false
			}
		}
		return true
	})
}
