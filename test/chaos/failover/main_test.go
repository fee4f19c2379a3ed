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
			o.within = -1 // how long it takes says nothing on a busy machine
			if err := o.check(); err != nil {
				t.Fatal(err)
			}
			if err := run(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBound: one gap beyond the bound is an error, whatever the others are.
func TestBound(t *testing.T) {
	gaps := []result{{Longest: 40 * time.Millisecond}, {Longest: killedWithin + 1}, {Longest: 60 * time.Millisecond}}
	for _, c := range []struct {
		opt  options
		good bool
	}{
		{options{kill: "node"}, false},
		{options{kill: "server"}, false},
		{options{within: killedWithin + 1}, true},
		{options{within: -1}, true},
		{options{stop: "node"}, true},
		{options{stop: "node", within: killedWithin}, false},
	} {
		if err := c.opt.judge(gaps); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.opt, err)
		}
	}
	if err := (options{}).judge(gaps[:1]); err != nil {
		t.Error(err)
	}
}
