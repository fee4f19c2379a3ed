package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/test/chaos"
)

func TestMain(m *testing.M) {
	chaos.Child()
	goleak.VerifyTestMain(m)
}

// TestOneKill: the command works, and no error reaches a writer.
func TestOneKill(t *testing.T) {
	err := run(t.Context(), options{kills: 1, nodes: 3, partitions: 8, writers: 4, pace: 2 * time.Millisecond, calm: 100 * time.Millisecond})
	if err != nil {
		t.Error(err)
	}
}
