package replication

import "testing"

// TestIdleGroupsSleep: 271 groups without work do not tick, and wake when there
// is work. BenchmarkIdle says what they cost.
func TestIdleGroupsSleep(t *testing.T) {
	c := newTestCluster(t, 3, 271, nil)
	c.waitPreferred()
	c.waitAsleep()
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

// waitAsleep waits until no group ticks.
func (c *testCluster) waitAsleep() {
	c.t.Helper()
	eventually(c.t, "all groups sleep", func() bool {
		for i := range c.dirs {
			if c.node(i).Status().Awake > 0 {
				return false
			}
		}
		return true
	})
}
