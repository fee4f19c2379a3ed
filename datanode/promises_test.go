package datanode

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
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
