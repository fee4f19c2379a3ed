package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// TestServerDeathNeedsNoLogin: data nodes and clients have streams to two servers each. Nobody can log in any more, and then a
// server is killed: writes to all partitions, and reads, go on by the streams that there are, also when the one data node is
// killed that had none to that server. So its death costs no more than it takes to send once again what was under way.
func TestServerDeathNeedsNoLogin(t *testing.T) {
	t.Parallel()
	// A stream that a machine too busy to answer pings for seconds has lost could not come back: that says nothing.
	for attempt := range 3 {
		held := false
		ok := t.Run(fmt.Sprint(attempt), func(t *testing.T) { held = writeWithoutLogins(t) })
		if held || !ok {
			return
		}
	}
	t.Error("streams to servers that lived were lost each time")
}

// writeWithoutLogins reports false if a stream to a server that lived was lost, and nothing can be said.
func writeWithoutLogins(t *testing.T) (held bool) {
	const nodes, partitions = 3, 8
	gates := map[string]*gate{"x1": newGate(t), "x2": newGate(t), "x3": newGate(t)}
	c := harness.Start(t, devcluster.Options{Binary: binary, Nodes: nodes, Partitions: partitions, Launch: throughGates(gates)})
	client := harness.Dial(t, c, func(cfg *appclient.Config) { cfg.Addrs = []string{gates["x1"].addr(), gates["x2"].addr()} })
	if err := writeAll(t, client, "before"); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, harness.Patience, "two streams of each data node and of the client", func() bool {
		streams := 0
		for _, g := range gates {
			streams += g.streams()
		}
		return streams == 2*nodes+2 && bothLoggedIn(t, c)
	})
	for _, g := range gates {
		g.shut()
	}
	living := func() int { return gates["x2"].streams() + gates["x3"].streams() }
	had := living()
	for _, kill := range []struct {
		id   string
		lost int // streams to servers that live
	}{{"x1", 0}, {"dn2", 2}} {
		if err := c.Kill(kill.id); err != nil {
			t.Fatal(err)
		}
		had -= kill.lost
		err := writeAll(t, client, "without "+kill.id)
		if err != nil && living() < had {
			t.Logf("%d of %d streams to servers that live are left: %v", living(), had, err)
			return false
		}
		if err != nil {
			t.Error(err)
		}
	}
	return true
}

// throughGates has data nodes reach each server through its gate.
func throughGates(gates map[string]*gate) func(id string, argv []string) ([]string, error) {
	servers := make(map[string]*gate) // by address
	return func(id string, argv []string) ([]string, error) {
		argv = slices.Clone(argv)
		for i, arg := range argv {
			switch {
			case arg == "--listen-c2s":
				gates[id].leadTo(argv[i+1])
				servers[argv[i+1]] = gates[id]
			case arg == "--addr":
				argv[i+1] = servers[argv[i+1]].addr()
			}
		}
		return argv, nil
	}
}

// bothLoggedIn says whether each data node has logged in under both of its addresses.
func bothLoggedIn(t *testing.T, c *devcluster.Cluster) bool {
	for _, n := range c.Info().Nodes {
		log, err := os.ReadFile(c.Log(n.ID))
		if err != nil {
			t.Fatal(err)
		}
		for _, jid := range []string{n.JID, n.JID + "-2"} {
			if !strings.Contains(string(log), "as="+jid+"\n") {
				return false
			}
		}
	}
	return true
}

// writeAll writes to roots of all partitions and reads what it wrote.
func writeAll(t *testing.T, client *appclient.Client, what string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 64 {
		root := client.Root(fmt.Sprint("gates/", i))
		if _, err := root.Put(ctx, what, []byte(what)); err != nil {
			return fmt.Errorf("write %d %s: %w", i, what, err)
		}
		if o, err := root.Get(ctx, what); err != nil || string(o.Value) != what {
			return fmt.Errorf("read %d %s: %v: %w", i, what, o, err)
		}
	}
	return nil
}
