package datanode

import (
	"bytes"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// TestReceiptComesWhenDurable: a request is acknowledged when the engine has
// answered all its operations, not when it arrives, nor in between.
func TestReceiptComesWhenDurable(t *testing.T) {
	for _, fault := range []bool{false, true} {
		n, e, h := testNode(t)
		n.faults.ReceiptOnArrival = fault
		e.slow = true
		feed(t, h, writes(2, "root", 10))
		receipts := func() int { // of all clients, and there is one at most
			for _, c := range h.clients {
				return len(c.out.done)
			}
			return 0
		}
		early := receipts() > 0
		for i, p := range e.kept {
			p.Done(op.WriteResult{Code: op.OK, Revision: uint64(i) + 1, Items: []op.Item{{Code: op.OK, Version: uint64(i) + 1}}})
			early = early || i == 0 && receipts() > 0
		}
		if len(e.kept) != 2 || receipts() != 1 {
			t.Errorf("%d proposals, %d receipts in the end", len(e.kept), receipts())
		}
		if early != fault {
			t.Errorf("planted bug: %v; a receipt before the writes are durable: %v", fault, early)
		}
	}
}

// TestValuesStayTheirOwn: the memory that values are decoded into is used again only when
// they are in the commands of their writes, be it for a request of the same message or for
// later ones. The seeded fault uses it at once.
func TestValuesStayTheirOwn(t *testing.T) {
	request := func(root string, size int) []byte {
		r := &wire.Request{Epoch: 1, Writes: []wire.Write{{
			Tag: 1, Partition: (&ring.Document{Partitions: 8}).Partition(root),
			Write: op.Write{Root: root, Session: 5, Seq: 1, Floor: 1, Mutations: []op.Mutation{
				{Kind: op.Put, Path: "p", Value: bytes.Repeat([]byte(root[:1]), size)},
			}},
		}}}
		return wire.AppendRequest(nil, r)
	}
	for _, fault := range []bool{false, true} {
		wrong := 0
		for _, size := range []int{100, asideFrom} { // in the read loop, and beside it
			n, e, h := testNode(t)
			n.faults.ValuesReused = fault
			e.slow = true
			roots := []string{"aaaa", "bbbb", "cccc", "dddd"}
			for i := 0; i < len(roots); i += 2 {
				two := append(request(roots[i], size), request(roots[i+1], size)...)
				feed(t, h, from("app@localhost/x", wire.AppendMessage(nil, "dn1@localhost/store", "m"+roots[i], true, two)))
			}
			if len(e.kept) != len(roots) {
				t.Fatalf("%d proposals of %d", len(e.kept), len(roots))
			}
			for i, root := range roots {
				if !bytes.Contains(e.kept[i].Cmd, bytes.Repeat([]byte(root[:1]), size)) {
					wrong++
				}
			}
		}
		if planted := wrong > 0; planted != fault {
			t.Errorf("planted bug: %v; writes without their value: %d", fault, wrong)
		}
	}
}

// TestTwinIsSeen: a node that starts sees another one under its account, with
// another store. Its own session of before is none.
func TestTwinIsSeen(t *testing.T) {
	const other = "99999999-0000-4000-8000-000000000001"
	for _, c := range []struct {
		name, store, typ string
		fault, seen      bool
	}{
		{"another store", other, "", false, true},
		{"another store, planted bug", other, "", true, false},
		{"another store that goes", other, " type='unavailable'", false, false},
		{"its own store", testMember(1).Store, "", false, false},
	} {
		n, _, _ := testNode(t)
		n.faults.TwinIgnored = c.fault
		w := &twinWatch{n: n, seen: func() {}}
		health := wire.AppendHealth(nil, &wire.Health{Member: 1, Store: c.store, State: wire.StateOK, Epoch: 1, Cluster: testCluster})
		raw := from(n.full, []byte(`<presence`+c.typ+` >`+string(health)+`</presence>`))
		st, _, err := stanza.NewScanner(stanza.Limits{}).Next(raw)
		if err != nil || st == nil {
			t.Fatal(err)
		}
		w.Stanza(nil, st)
		if seen := w.store != ""; seen != c.seen {
			t.Errorf("%s: seen %v", c.name, seen)
		}
	}
}
