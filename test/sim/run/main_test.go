package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/test/sim"
)

// TestMain plays a worker where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestCampaign: workers share the seeds, each of which runs once, and what they
// did is added up.
func TestCampaign(t *testing.T) {
	var out bytes.Buffer
	c := &campaign{opt: options{first: 7, seeds: 5, workers: 2}, out: &out, began: time.Now()}
	if err := c.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"5, from 7 to 11,", "violations             0 []", "crash "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	var alone sim.Report
	for seed := uint64(7); seed < 12; seed++ {
		res, err := runSeed(seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		alone.Add(res.Report)
	}
	if c.total.Operations != alone.Operations || sim.Kinds(c.total.Faults) != sim.Kinds(alone.Faults) {
		t.Errorf("workers: %d operations, %s; alone: %d, %s", c.total.Operations, sim.Kinds(c.total.Faults), alone.Operations, sim.Kinds(alone.Faults))
	}
}

// TestViolation: it is printed with the command that repeats it, and is an error.
func TestViolation(t *testing.T) {
	var out bytes.Buffer
	c := &campaign{opt: options{first: 40, seeds: 2}, out: &out, began: time.Now()}
	c.note(result{Seed: 40})
	c.note(result{Seed: 41, Error: "seed 41: something was lost"})
	if err := c.end(); err == nil {
		t.Error("no error")
	}
	for _, want := range []string{"something was lost", "make sim SEED=41 SEEDS=1 FLAGS=-v", "violations             1 [41]"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if err := (&campaign{opt: options{seeds: 1}, out: &out}).end(); err == nil {
		t.Error("a campaign without a run is taken for good")
	}
}

// TestLeast: when the time is over the least number of seeds has run, and a campaign with fewer is none.
func TestLeast(t *testing.T) {
	var out bytes.Buffer
	c := &campaign{opt: options{first: 1, seeds: 100, workers: 2, within: time.Nanosecond, least: 3}, out: &out, began: time.Now()}
	if err := c.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if c.ran < 3 || c.ran >= 100 {
		t.Errorf("%d seeds ran, want the least and not all:\n%s", c.ran, &out)
	}
	few := &campaign{opt: options{seeds: 4, least: 3}, out: &out, began: time.Now()}
	few.note(result{Seed: 1})
	few.note(result{Seed: 2})
	if err := few.end(); err == nil {
		t.Error("a campaign with too few seeds is taken for good")
	}
}
