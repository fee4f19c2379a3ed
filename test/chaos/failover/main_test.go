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

// TestOneOfEach: the command works, and no error reaches a writer when a data node or a server is killed, or a server frozen
// for so long that the others cut it off.
func TestOneOfEach(t *testing.T) {
	for _, o := range []options{{kill: "node"}, {kill: "server"}, {kill: "node", stop: "server", frozen: 5 * time.Second}} {
		t.Run(o.verb()+" "+o.target(), func(t *testing.T) {
			t.Parallel()
			o.kills, o.servers, o.nodes, o.partitions, o.writers, o.pace, o.calm = 1, 3, 3, 8, 4, 2*time.Millisecond, 100*time.Millisecond
			if err := o.check(); err != nil {
				t.Fatal(err)
			}
			if err := run(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
}
