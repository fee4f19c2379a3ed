package replication

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// editObject changes an object's record in the state file of a stopped node.
func editObject(t *testing.T, c *testCluster, node int, group uint32, key string, edit func(rec []byte)) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(c.root, fmt.Sprint(node+1), stateFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(binary.BigEndian.AppendUint32([]byte{'p'}, group)).Bucket([]byte("objects"))
		rec := append([]byte(nil), b.Get([]byte(key))...)
		if len(rec) == 0 {
			return fmt.Errorf("no object %q", key)
		}
		edit(rec)
		return b.Put([]byte(key), rec)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// reseal makes the checksum of a record right.
func reseal(key string, rec []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(rec, crc32.Update(crc32.Checksum([]byte(key), table), table, rec[4:]))
}

// scrubCluster has 50 objects in group 0, which node 1 leads.
func scrubCluster(t *testing.T, cfg func(*Config)) (*testCluster, op.Session) {
	c := newTestCluster(t, 3, 1, func(conf *Config) {
		conf.ScrubEvery = -1
		if cfg != nil {
			cfg(conf)
		}
	})
	s := c.session(0)
	for i := range uint64(50) {
		if r := c.write(0, put(s, i+1, "root", fmt.Sprint("path", i), strings.Repeat("v", 100))); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
	}
	return c, s
}

// level waits until all replicas of group 0 have the same state.
func (c *testCluster) level() {
	c.t.Helper()
	eventually(c.t, "the replicas are level", func() bool {
		want := c.node(0).part(0).Digest()
		at, _ := c.node(0).part(0).Applied()
		for i := range c.dirs {
			if index, _ := c.node(i).part(0).Applied(); index != at || c.node(i).part(0).Digest() != want {
				return false
			}
		}
		return want != 0
	})
}

// scrubUntil scrubs group 0 until ok.
func (c *testCluster) scrubUntil(what string, ok func() bool) {
	c.t.Helper()
	next, polls := uint64(0), 0
	eventually(c.t, what, func() bool {
		polls++
		if n := c.compared(); n >= next || polls%200 == 0 { // one may get lost
			next = n + 1
			c.leader(0).Scrub(0)
		}
		return ok()
	})
}

func (c *testCluster) compared() (n uint64) {
	for i := range c.dirs {
		n += c.node(i).Status().Scrub.Compared
	}
	return n
}

func (c *testCluster) repaired() (n uint64) {
	for i := range c.dirs {
		n += c.node(i).Status().Scrub.Repaired
	}
	return n
}

// TestScrubMends: a flipped byte, and a wrong value under a right checksum, are
// found and replaced by what the majority has, on a follower and on the leader.
func TestScrubMends(t *testing.T) {
	const key = "root\x00path7"
	for name, tc := range map[string]struct {
		node int
		edit func(rec []byte)
	}{
		"flipped byte on a follower": {2, func(rec []byte) { rec[len(rec)-3] ^= 1 }},
		"wrong value on a follower":  {1, func(rec []byte) { rec[len(rec)-3] ^= 1; reseal(key, rec) }},
		"wrong value on the leader":  {0, func(rec []byte) { rec[len(rec)-3] ^= 1; reseal(key, rec) }},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := scrubCluster(t, nil)
			c.level()
			c.stop(tc.node)
			editObject(t, c, tc.node, 0, key, tc.edit)
			c.start(tc.node)
			eventually(t, "the first replica leads again", func() bool { l, _ := c.node(0).LeaderOf(0); return l == 1 })
			c.scrubUntil("the state is repaired", func() bool { return c.repaired() == 1 })
			if r := c.write(0, put(s, 51, "root", "more", "v")); r.Code != op.OK {
				t.Errorf("write after the repair: %+v", r)
			}
			c.level()
			st := c.node(tc.node).Status().Scrub
			if st.Damaged != 1 || st.Repaired != 1 {
				t.Errorf("%+v", st)
			}
			for i := range c.dirs {
				if err := c.node(i).part(0).Damaged(); err != nil {
					t.Errorf("node %d: %v", i+1, err)
				}
			}
		})
	}
}

// TestDamageFoundByRead: what a read stumbles over is repaired without a scrub.
func TestDamageFoundByRead(t *testing.T) {
	c, _ := scrubCluster(t, nil)
	c.level()
	c.stop(0)
	editObject(t, c, 0, 0, "root\x00path7", func(rec []byte) { rec[len(rec)-3] ^= 1 })
	c.start(0)
	eventually(t, "the first replica leads again", func() bool { l, _ := c.node(0).LeaderOf(0); return l == 1 })
	if r := c.read(0, get("root", "path7")); r.Code != op.OK || string(r.Objects[0].Value) != strings.Repeat("v", 100) {
		t.Errorf("%+v", r)
	}
	eventually(t, "the state is repaired", func() bool { return c.repaired() == 1 })
	c.level()
}

// TestScrubOfHealthyReplicas: states that go on changing while they are read are
// compared at one position, and nothing is found.
func TestScrubOfHealthyReplicas(t *testing.T) {
	c, s := scrubCluster(t, nil)
	seq := uint64(51)
	c.scrubUntil("ten scrubs", func() bool {
		if r := c.write(0, put(s, seq, "root", "path", fmt.Sprint(seq))); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
		seq++
		return c.compared() >= 10
	})
	for i := range c.dirs {
		if st := c.node(i).Status().Scrub; st.Mismatches+st.Undecided+st.Damaged > 0 {
			t.Errorf("node %d: %+v", i+1, st)
		}
	}
}

// TestRepairUnderWrites: a replica is repaired while others go on writing, and
// applies nothing out of order meanwhile.
func TestRepairUnderWrites(t *testing.T) {
	c, s := scrubCluster(t, nil)
	c.level()
	seq := uint64(51)
	for round := range uint64(3) {
		c.node(2).part(0).MarkDamaged(errDiffers)
		eventually(t, "the state is repaired", func() bool {
			const most = 50
			done := make(chan op.WriteResult, most)
			for range most {
				c.node(0).ProposeBatch([]Proposal{{Group: 0, Cmd: put(s, seq, "root", "path", fmt.Sprint(seq)), Done: func(r op.WriteResult) { done <- r }}})
				seq++
			}
			for range most {
				<-done
			}
			st := c.node(2).Status()
			if st.Fatal != "" {
				t.Fatal(st.Fatal)
			}
			return st.Scrub.Repaired > round
		})
	}
	c.level()
}

// mendsInTurn flips a byte of a follower's state in one group of three, and tells in what
// time it was mended by itself; 0: not at all within 60 s. In a bubble of synctest, so that
// nothing but waiting takes time.
func mendsInTurn(t *testing.T, every time.Duration, faults core.Faults) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3, 2, func(cfg *Config) { cfg.ScrubEvery, cfg.Faults = every, faults })
		s := c.session(1)
		if r := c.write(1, put(s, 1, "root", "path", strings.Repeat("v", 100))); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
		c.waitPreferred()
		eventually(t, "the follower has it", func() bool {
			want, _ := c.node(1).part(1).Applied()
			at, _ := c.node(2).part(1).Applied()
			return at == want
		})
		c.stop(2)
		editObject(t, c, 2, 1, "root\x00path", func(rec []byte) { rec[len(rec)-3] ^= 1 })
		c.start(2)
		began := time.Now()
		for c.node(2).Status().Scrub.Repaired == 0 {
			if time.Since(began) > time.Minute {
				return
			}
			time.Sleep(50 * time.Millisecond) // the bubble's clock
		}
		took = time.Since(began)
	})
	return took
}

// TestScrubsInTurn: nobody asks for a scrub, and what is damaged is mended all the same,
// within the time that Config.ScrubEvery gives each group, which begins anew where nodes start. The planted mistake has one
// group's turn whenever it is the next one's.
func TestScrubsInTurn(t *testing.T) {
	const every = 8 * time.Second
	if took := mendsInTurn(t, every, core.Faults{}); took == 0 || took > 2*every {
		t.Errorf("mended after %v, with a scrub of each group in %v", took, every)
	}
	if took := mendsInTurn(t, -1, core.Faults{}); took != 0 {
		t.Errorf("mended after %v, without a scrub: something else has found the damage", took)
	}
	if took := mendsInTurn(t, every, core.Faults{ScrubsOne: true}); took != 0 {
		t.Errorf("mended after %v, though the group never had its turn", took)
	}
}
