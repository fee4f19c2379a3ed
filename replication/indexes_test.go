package replication

import (
	"fmt"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// TestIndexesComeWithTheRing: what the ring document defines is built in a group
// that writes nothing, from what it has, and gone when it is defined no more.
func TestIndexesComeWithTheRing(t *testing.T) {
	c := newTestCluster(t, 3, 2, nil)
	const group = 1
	s := c.session(group)
	for i := range uint64(5) {
		if res := c.write(group, put(s, i+1, fmt.Sprintf("r%d", i), "", fmt.Sprintf(`{"n":%d}`, i))); res.Code != op.OK {
			t.Fatalf("%+v", res)
		}
	}
	propose := func(expect uint64, doc *ring.Document) {
		raw, err := ring.Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		if res := c.write(ring.MetaPartition, state.EncodeRing(nil, time.Now().UnixMilli(), expect, raw)); res.Code != op.OK {
			t.Fatalf("document %d: %+v", doc.Epoch, res)
		}
	}
	ready := func() (sum int) { // each partition is counted by its leader, and by nobody else
		for i := range 3 {
			sum += c.node(i).ReadyIndexes()[1]
		}
		return sum
	}
	if n := ready(); n != 0 {
		t.Errorf("ready in %d partitions before it is defined", n)
	}
	propose(0, c.doc)
	next := *c.doc
	next.Epoch, next.Indexes = 2, []ring.Index{{Name: "n", ID: 1, Field: "n"}}
	propose(1, &next)
	query := &op.Read{Kind: op.Query, Index: "n", Desc: true}
	var res op.ReadResult
	eventually(t, "the index can be queried", func() bool {
		res = c.read(group, query)
		return res.Code == op.OK
	})
	if len(res.Objects) != 5 || res.Objects[0].Root != "r4" || res.Objects[4].Key != (op.Scalar{Kind: op.Number}) {
		t.Errorf("%+v", res)
	}
	eventually(t, "the index is ready in both partitions", func() bool { return ready() == 2 })
	last := next
	last.Epoch, last.Indexes = 3, nil
	propose(2, &last)
	eventually(t, "the index is gone", func() bool { return c.read(group, query).Code == op.NotFound })
}
