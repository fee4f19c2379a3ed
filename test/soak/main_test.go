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
	grows, rests := key{"dn1", memory}, key{"dn2", memory}
	var samples []sample
	for i := range 90 {
		samples = append(samples, sample{grows: 100 + 2*float64(i), rests: min(400, 100+20*float64(i)) + float64(i%7)})
	}
	for _, g := range compare(samples) {
		if g.tooMuch() != (g.key == grows) {
			t.Errorf("%+v: too much: %v", g, g.tooMuch())
		}
	}
}
