package sim

import (
	"flag"
	"reflect"
	"runtime"
	"testing"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed only, with a log of what happens")
	firstFlag = flag.Uint64("first", 1, "the first seed of many")
	seedsFlag = flag.Int("seeds", 120, "how many seeds to run")
)

func TestSim(t *testing.T) {
	if *seedFlag != 0 {
		if _, err := Run(Options{Seed: *seedFlag, Dir: t.TempDir(), Length: DefaultLength, Verbose: func(s string) { t.Log(s) }}); err != nil {
			t.Fatal(err)
		}
		return
	}
	total := Report{}
	for seed := *firstFlag; seed < *firstFlag+uint64(*seedsFlag); seed++ {
		rep, err := Run(Options{Seed: seed, Dir: t.TempDir(), Length: DefaultLength})
		if err != nil {
			t.Fatalf("%v\nrun it again: go test ./test/sim -run TestSim -seed %d -v", err, seed)
		}
		total.Add(rep)
	}
	t.Logf("seeds %d to %d: %d operations, %d of unknown outcome, %d reads of a bounded age, %d confirmed by their askers, %d changes of the ring completed (%s), %d entries of indexes compared, %d writes that came again, %d of them below the floor, %d scrubs, %d states found damaged, %d repaired, %d histories undecided; faults: %s",
		*firstFlag, *firstFlag+uint64(*seedsFlag)-1, total.Operations, total.Unknown, total.Stale, total.Confirmed, total.Changes, Kinds(total.Edits), total.Indexed, total.Repeated+total.Below, total.Below, total.Scrubs, total.Damaged, total.Repaired, total.Undecided, Kinds(total.Faults))
}

// TestSameSeedSameRun: without it a printed seed would be worth nothing. What runs
// at once, the order of maps and the time of day differ between the two.
func TestSameSeedSameRun(t *testing.T) {
	run := func(seed uint64, procs int) (Report, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		rep, err := Run(Options{Seed: seed, Dir: t.TempDir(), Length: DefaultLength})
		rep.Undecided = 0 // this alone goes by the clock
		return rep, err
	}
	for seed := uint64(1); seed <= 8; seed++ {
		a, errA := run(seed, 1)
		b, errB := run(seed, 3)
		if !reflect.DeepEqual(a, b) || (errA == nil) != (errB == nil) {
			t.Errorf("seed %d: %+v, %v and %+v, %v", seed, a, errA, b, errB)
		}
	}
	one, _ := run(1, 1)
	if other, _ := run(2, 1); one.Trace == other.Trace {
		t.Error("two seeds have the same trace: it tells nothing")
	}
}
