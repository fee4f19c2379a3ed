package sim

import (
	"flag"
	"testing"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed only, with a log of what happens")
	firstFlag = flag.Uint64("first", 1, "the first seed of many")
	seedsFlag = flag.Int("seeds", 120, "how many seeds to run")
)

const stormLength = 12 * second

func TestSim(t *testing.T) {
	if *seedFlag != 0 {
		if _, err := Run(Options{Seed: *seedFlag, Dir: t.TempDir(), Length: stormLength, Verbose: func(s string) { t.Log(s) }}); err != nil {
			t.Fatal(err)
		}
		return
	}
	total := Report{}
	for seed := *firstFlag; seed < *firstFlag+uint64(*seedsFlag); seed++ {
		rep, err := Run(Options{Seed: seed, Dir: t.TempDir(), Length: stormLength})
		if err != nil {
			t.Fatalf("%v\nrun it again: go test ./test/sim -run TestSim -seed %d -v", err, seed)
		}
		total.Operations += rep.Operations
		total.Unknown += rep.Unknown
		total.Stale += rep.Stale
		total.Changes += rep.Changes
	}
	t.Logf("seeds %d to %d: %d operations, %d of unknown outcome, %d reads of a bounded age, %d changes of the ring completed",
		*firstFlag, *firstFlag+uint64(*seedsFlag)-1, total.Operations, total.Unknown, total.Stale, total.Changes)
}

// TestSameSeedSameRun: without it a printed seed would be worth nothing.
func TestSameSeedSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, errA := Run(Options{Seed: seed, Dir: t.TempDir(), Length: stormLength})
		b, errB := Run(Options{Seed: seed, Dir: t.TempDir(), Length: stormLength})
		if a != b || (errA == nil) != (errB == nil) {
			t.Errorf("seed %d: %+v, %v and %+v, %v", seed, a, errA, b, errB)
		}
	}
}
