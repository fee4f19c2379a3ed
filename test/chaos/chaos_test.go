package chaos

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	Child()
	goleak.VerifyTestMain(m)
}

// required: this machine is one that can do everything; what it leaves out is an error.
func required() bool { return os.Getenv("CHAOS_REQUIRED") == "1" }

// TestChaos is the short form of `make chaos`. What it must show does not wait for its turn in the seed.
func TestChaos(t *testing.T) {
	o := Options{
		Seed: 7, Duration: 8 * time.Second, Calm: time.Second, Hold: time.Second, Dir: t.TempDir(), Log: testLog{t},
		First: []string{"kill", "power", join, reweigh},
	}
	probe, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), o)
	if report != nil {
		report.Print(testLog{t})
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Notes) > 0 && required() {
		t.Errorf("CHAOS_REQUIRED=1 asks for all faults: %q", report.Notes)
	}
	if report.Operations < 100 {
		t.Errorf("only %d operations", report.Operations)
	}
	for _, what := range []string{"kill", join, reweigh} { // and each has come to its end, or the run had failed
		if report.Faults[what] == 0 {
			t.Errorf("no %s", what)
		}
	}
	if report.Disks.Cuts == 0 && probe.disks {
		t.Error("no power cut")
	}
	if report.Verdict.Decided == 0 {
		t.Error("no history was judged")
	}
}

// TestFullDisk: where one disk at a time is full, nobody is told so.
func TestFullDisk(t *testing.T) {
	o := Options{Seed: 3, Duration: 6 * time.Second, Calm: 500 * time.Millisecond, Hold: 2 * time.Second, Dir: t.TempDir(), Kinds: []string{"full"}, Log: testLog{t}}
	probe, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if !probe.disks {
		t.Skip(probe.notes) // test/cluster does the same with a disk that only says so
	}
	report, err := Run(t.Context(), o)
	if report != nil {
		report.Print(testLog{t})
	}
	if err != nil {
		t.Fatal(err)
	}
	if report.Faults["full"] == 0 {
		t.Error("no disk was full")
	}
	for reason, n := range report.Refusals {
		if strings.Contains(reason, "full") {
			t.Errorf("%d callers were told: %s", n, reason)
		}
	}
}

// TestPlants: a run notices mistakes.
func TestPlants(t *testing.T) {
	probe, err := Options{Dir: t.TempDir()}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		plant Plant
		fault string
		disks bool
		want  func(*Report) bool
	}{
		{AckBeforeFsync, "blackout", true, func(r *Report) bool { return r.Verdict.Lost > 0 }},
		{LyingDisk, "blackout", true, func(r *Report) bool { return r.Verdict.Lost > 0 }},
		{NoDedupe, "drop", false, func(r *Report) bool { return r.Verdict.Doubled > 0 }},
		{StaleUnbound, "slow", false, func(r *Report) bool { return r.Verdict.Wrong > 0 }},
	} {
		t.Run(string(c.plant), func(t *testing.T) {
			if c.disks && !probe.disks {
				if required() {
					t.Fatalf("CHAOS_REQUIRED=1 asks for all faults: %q", probe.notes)
				}
				t.Skip(probe.notes)
			}
			// Each of the faults waits for its moment (betray.go). It shows nothing only where no data
			// node can start from what its disk has lost.
			const tries = 8
			for seed := range uint64(tries) {
				report, err := Run(t.Context(), Options{
					Seed: seed, Duration: 3 * time.Second, Calm: 400 * time.Millisecond, Hold: 100 * time.Millisecond, SyncTime: 30 * time.Millisecond,
					Dir: t.TempDir(), Kinds: []string{c.fault}, Plant: c.plant, Lose: true, Log: testLog{t},
				})
				if report == nil { // no data node may be able to start from what the disk has lost: that shows nothing yet
					t.Logf("seed %d: %v", seed, err)
					continue
				}
				if c.want(report) {
					t.Logf("seed %d: %d lost, %d doubled, %d wrong", seed, report.Verdict.Lost, report.Verdict.Doubled, report.Verdict.Wrong)
					return
				}
			}
			t.Error("the planted mistake was not noticed")
		})
	}
}

// TestOptions: what is asked for is told, so that it can be repeated.
func TestOptions(t *testing.T) {
	if _, err := (Options{Nodes: 2}).withDefaults(); err == nil {
		t.Error("two data nodes are taken")
	}
	o := Options{Seed: 3, Duration: time.Minute, Servers: 1, Nodes: 5, Kinds: []string{"kill", "cut"}, First: []string{"kill", "join"}, Plant: LyingDisk}
	const want = "go run ./test/chaos/run -seed 3 -duration 1m0s -servers 1 -nodes 5 -faults kill,cut -first kill,join -plant lying-disk"
	if got := o.Repeat(); got != want {
		t.Errorf("repeated by %q, want %q", got, want)
	}
	if _, err := (Options{Dir: t.TempDir(), Kinds: []string{"earthquake"}}).withDefaults(); err == nil || !strings.Contains(err.Error(), "earthquake") {
		t.Errorf("an unknown fault: %v", err)
	}
}

// testLog is the log of a test.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
