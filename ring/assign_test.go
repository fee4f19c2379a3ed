package ring_test

import (
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
	"pgregory.net/rapid"
)

func replaced(old, next []uint64) int {
	n := 0
	for _, id := range old {
		if !slices.Contains(next, id) {
			n++
		}
	}
	return n
}

// TestGrowMovesLeast: going from 5 to 6 members needs half a copy a partition
// (each of 6 holds a sixth of three copies); the library moves 1.1.
func TestGrowMovesLeast(t *testing.T) {
	d := mustNew(t, members(5, nil), ring.Options{})
	next, err := ring.Assign(d.Table, members(6, nil), 3)
	if err != nil {
		t.Fatal(err)
	}
	moves, transfers := ring.Diff(d.Table, next)
	per := float64(len(moves)) / 271
	t.Logf("5 to 6: %.3f copies a partition, %d leaders change", per, transfers)
	if per > 0.55 {
		t.Errorf("%.3f copies a partition move; half a copy is enough", per)
	}
	checkEven(t, next, members(6, nil), 3)
}

func TestRackFailureSpreads(t *testing.T) {
	d := mustNew(t, members(9, nil), ring.Options{})
	sets := map[[3]uint64]bool{}
	for _, row := range d.Table {
		r := slices.Clone(row)
		slices.Sort(r)
		sets[[3]uint64(r)] = true
	}
	if len(sets) < 60 { // the library knows 9; 84 are possible
		t.Errorf("only %d different replica sets of 9 members", len(sets))
	}
}

// TestAssignChains: any walk of joins, leaves and losses keeps the rules.
func TestAssignChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const replicas = 3
		n := rapid.IntRange(3, 8).Draw(t, "members")
		cur := members(n, nil)
		table := mustNew(t, cur, ring.Options{Partitions: 97}).Table
		all := members(20, nil)
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			switch k := rapid.IntRange(0, 2).Draw(t, "kind"); {
			case k == 0 && n < 20:
				cur = append(slices.Clone(cur), all[n])
				n++
			case len(cur) > replicas:
				i := rapid.IntRange(0, len(cur)-1).Draw(t, "who")
				cur = slices.Delete(slices.Clone(cur), i, i+1)
			}
			for round := 0; ; round++ {
				next, err := ring.Assign(table, cur, replicas)
				if err != nil {
					t.Fatal(err)
				}
				for p := range next {
					if replaced(table[p], next[p]) > 1 {
						t.Fatalf("partition %d: %v became %v", p, table[p], next[p])
					}
				}
				moves, _ := ring.Diff(table, next)
				table = next
				if len(moves) == 0 {
					break
				}
				if round == 10 {
					t.Fatal("no end of rounds")
				}
			}
			checkEven(t, table, cur, replicas)
		}
	})
}

func TestAssignStableIsStill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := members(rapid.IntRange(3, 9).Draw(t, "n"), nil)
		d := mustNew(t, m, ring.Options{Partitions: 128})
		next, err := ring.Assign(d.Table, m, 3)
		if err != nil {
			t.Fatal(err)
		}
		if moves, transfers := ring.Diff(d.Table, next); len(moves)+transfers > 0 {
			t.Fatalf("nothing changed, yet %d moves and %d transfers", len(moves), transfers)
		}
	})
}

func TestPlan(t *testing.T) {
	d := mustNew(t, members(6, nil), ring.Options{})
	m := members(6, func(i int, m *ring.Member) {
		if i >= 4 {
			m.State = ring.Leaving
		}
	})
	pl, err := ring.MakePlan(d, m, ring.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pl.Rounds) < 2 || len(pl.Warnings) == 0 {
		t.Fatalf("two members leave at once: %d rounds, warnings %v", len(pl.Rounds), pl.Warnings)
	}
	last := pl.Rounds[len(pl.Rounds)-1].Target
	for p, row := range last {
		if slices.Contains(row, 5) || slices.Contains(row, 6) {
			t.Fatalf("partition %d still has a leaver: %v", p, row)
		}
	}
	if _, err := ring.MakePlan(d, members(2, nil), ring.PlanOptions{}); err == nil {
		t.Error("two members for three replicas were accepted")
	}
	pl, err = ring.MakePlan(d, d.Members, ring.PlanOptions{})
	if err != nil || len(pl.Rounds) != 0 {
		t.Errorf("nothing to do: %d rounds, %v", len(pl.Rounds), err)
	}
}

func BenchmarkAssign(b *testing.B) {
	d := mustNew(b, members(49, nil), ring.Options{Partitions: 4096})
	next := members(50, nil)
	b.ResetTimer()
	for range b.N {
		if _, err := ring.Assign(d.Table, next, 3); err != nil {
			b.Fatal(err)
		}
	}
}
