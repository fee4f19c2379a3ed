package simulate

import (
	"fmt"
	"strings"
	"testing"
)

func run(t *testing.T) map[string][]Row {
	t.Helper()
	var keys strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&keys, "user/%d\n\n", i)
	}
	hashes, err := ReadKeys(strings.NewReader(keys.String()))
	if err != nil || len(hashes) != 20000 {
		t.Fatalf("%d keys, %v", len(hashes), err)
	}
	rows, err := Run(hashes, Options{Nodes: []int{3, 5, 4}, Partitions: 271, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string][]Row)
	for _, r := range rows {
		by[r.Strategy] = append(by[r.Strategy], r)
	}
	return by
}

// TestOursIsEvenAndMovesLeast is what the table is to show.
func TestOursIsEvenAndMovesLeast(t *testing.T) {
	by := run(t)
	for _, name := range Strategies() {
		if len(by[name]) != 3 || by[name][0].Moved != 0 {
			t.Fatalf("%s: %+v", name, by[name])
		}
	}
	for i, r := range by[RosterDB] {
		if r.Skew > 1.06 {
			t.Errorf("%d nodes: skew %.3f", r.Nodes, r.Skew)
		}
		if i > 0 && r.MovedPart > 1.1*r.LeastPart {
			t.Errorf("to %d nodes: %.3f of the copies move, %.3f have to", r.Nodes, r.MovedPart, r.LeastPart)
		}
		if i > 0 && r.Moved >= by[Modulo][i].Moved {
			t.Errorf("to %d nodes: modulo moves no more", r.Nodes)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := ReadKeys(strings.NewReader("\n\n")); err == nil {
		t.Error("no keys were accepted")
	}
	if _, err := ReadKeys(strings.NewReader(strings.Repeat("x", MaxKey+1))); err == nil {
		t.Error("a line without end was accepted")
	}
	if _, err := Run([]uint64{1}, Options{Nodes: []int{3}, Strategies: []string{"luck"}, Partitions: 7, Replicas: 3}); err == nil || !strings.Contains(err.Error(), "rendezvous") {
		t.Errorf("an unknown strategy: %v", err)
	}
}
