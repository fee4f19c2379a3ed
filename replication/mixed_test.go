package replication

import (
	"testing"
	"time"
)

// TestMixedVersions: a node whose peer sends batches of another format tells so, a while after the last one not any more. The
// planted mistake is to drop them without a word.
func TestMixedVersions(t *testing.T) {
	for _, planted := range []bool{false, true} {
		c := newTestCluster(t, 3, 1, func(cfg *Config) { cfg.Faults.VersionUntold = planted })
		n := c.node(0)
		if n.Mixed() {
			t.Error("it tells of another version before there is one")
		}
		n.Receive(2, []byte{0xFF, 0, 0, 0, 0, 0, 0, 0})
		if planted {
			eventually(t, "the batch is dropped", func() bool { return n.mixed.at.Load() != 0 })
			if n.Mixed() {
				t.Error("planted mistake: it tells all the same")
			}
			continue
		}
		eventually(t, "it tells of the other version", n.Mixed)
		n.mixed.at.Add(-int64(mixedFor) - 1)
		if n.Mixed() {
			t.Error("it tells of what was long ago")
		}
	}
}

// TestMixedIsLoggedOnce: the log has a line when it begins, not one for each batch.
func TestMixedIsLoggedOnce(t *testing.T) {
	var m mixed
	for i, want := range []bool{true, false, false} {
		if got := m.note(time.Duration(i+1) * time.Second); got != want {
			t.Errorf("batch %d: first %v", i, got)
		}
	}
	if !m.note(4*time.Second + mixedFor) {
		t.Error("after a pause it is not told again")
	}
}
