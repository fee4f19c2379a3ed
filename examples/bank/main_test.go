package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBank runs the program on a cluster in this process.
func TestBank(t *testing.T) {
	cluster, err := appclienttest.Start(appclienttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	if err := run(t.Context(), cluster.Config(), 4, 10); err != nil {
		t.Error(err)
	}
}
