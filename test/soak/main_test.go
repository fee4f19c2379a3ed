package main

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/test/chaos"
)

func TestMain(m *testing.M) {
	chaos.Child()
	goleak.VerifyTestMain(m)
}

// TestShort: the command works; so short a time says nothing about plateaus.
func TestShort(t *testing.T) {
	err := run(t.Context(), options{duration: 3 * time.Second, servers: 3, nodes: 3, partitions: 4, clients: 2, pace: time.Millisecond})
	if err != nil && !errors.Is(err, errGrows) {
		t.Error(err)
	}
}

// TestGrowthIsSeen: what keeps growing is told from what comes to rest.
func TestGrowthIsSeen(t *testing.T) {
	// What was alive grew by a sixth where all memory of a process might have, so that nobody saw it in that.
	grows, rests, hidden := key{"dn1", live}, key{"dn2", live}, key{"dn1", mapped}
	var samples []sample
	for i := range 90 {
		samples = append(samples, sample{grows: 50 + 0.4*float64(i), rests: min(40, 10+2*float64(i)) + float64(i%7), hidden: float64(i)})
	}
	for _, g := range compare(samples) {
		if g.tooMuch() != (g.key == grows) {
			t.Errorf("%+v: too much: %v", g, g.tooMuch())
		}
	}
}
