package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// crashAfter lets n changing operations happen and fails all others.
func crashAfter(fs *MemFS, n int) {
	fs.Inject(func(Op, string) error {
		if n--; n < 0 {
			return ErrCrashed
		}
		return nil
	})
}

// crashEverywhere stops one workload before each of its operations in turn,
// crashes the disk and checks what is recovered.
func crashEverywhere(seed uint64, faults Faults) (points, cuts int, err error) {
	for n := 0; ; n++ {
		for variant := range uint64(3) {
			fs := NewMemFS()
			w := newWorkload(fs, seed, faults)
			crashAfter(fs, n)
			err := w.run(60)
			if errors.Is(err, errModel) {
				return points, cuts, fmt.Errorf("seed %d, before the crash: %w", seed, err)
			}
			fs.Crash(seed<<20 + uint64(n)*8 + variant)
			rec, cerr := w.afterCrash()
			if cerr != nil {
				return points, cuts, fmt.Errorf("seed %d, crash before operation %d, variant %d: %w", seed, n, variant, cerr)
			}
			points++
			if rec.Cut != nil {
				cuts++
			}
			// A node that goes on must not stumble over what the crash left.
			if err := w.run(10); err != nil {
				return points, cuts, fmt.Errorf("seed %d, crash before operation %d, variant %d: going on: %w", seed, n, variant, err)
			}
			if err == nil { // the workload ended before operation n
				return points, cuts, nil
			}
		}
	}
}

func TestCrashAtEveryOperation(t *testing.T) {
	points, cuts := 0, 0
	for seed := range uint64(2) {
		p, c, err := crashEverywhere(seed, Faults{})
		if err != nil {
			t.Fatal(err)
		}
		points, cuts = points+p, cuts+c
	}
	if cuts == 0 {
		t.Error("no crash left a torn tail: the test exercises nothing")
	}
	t.Logf("%d crashes, %d torn tails", points, cuts)
}

// TestSeededFaults shows that the checker notices each defect.
func TestSeededFaults(t *testing.T) {
	for name, faults := range map[string]Faults{
		"acknowledgement before fsync": {SkipSync: true},
		"checksum not checked":         {SkipCRC: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(10) {
				if _, _, err := crashEverywhere(seed, faults); err != nil {
					t.Log("found: ", err)
					return
				}
			}
			t.Error("the seeded fault was not noticed")
		})
	}
}

// TestRandomCrashes crashes one disk many times in its life.
func TestRandomCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := NewMemFS()
		w := newWorkload(fs, rapid.Uint64().Draw(t, "seed"), Faults{})
		for range rapid.IntRange(1, 6).Draw(t, "lives") {
			crashAfter(fs, rapid.IntRange(0, 250).Draw(t, "operations"))
			if err := w.run(80); errors.Is(err, errModel) || errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			fs.Crash(rapid.Uint64().Draw(t, "crash"))
			if _, err := w.afterCrash(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestNoRoom lets the disk fill up and get free again, again and again.
func TestNoRoom(t *testing.T) {
	for seed := range uint64(8) {
		fs := NewMemFS()
		rng := rand.New(rand.NewPCG(seed, 2))
		w := newWorkload(fs, seed, Faults{})
		fs.SetCapacity(5 * 16 << 10)
		full := 0
		for range 30 {
			switch err := w.run(40); {
			case errors.Is(err, ErrFull):
				full++
				w.maybe = nil
				fs.SetCapacity(fs.Used() + int64(rng.IntN(4*16<<10)))
			case err != nil:
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if full == 0 {
			t.Errorf("seed %d: the disk was never full", seed)
		}
	}
}
