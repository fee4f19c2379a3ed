package replication

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
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
