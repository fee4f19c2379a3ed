package core

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestSpentCommands: a command is given back once, and by then its entry is a copy: what
// is written over it reaches no replica. This holds as long as raft copies what is proposed.
func TestSpentCommands(t *testing.T) {
	for _, f := range []Faults{{}, {SpentEarly: true}} {
		const n = 20
		spent := make(map[*byte]int)
		w := &world{t: t}
		w.cluster(3, 0, 1, Config{SleepTicks: -1, Faults: f, Spent: func(cmd []byte) {
			spent[&cmd[0]]++
			for i := range cmd {
				cmd[i] = 'x'
			}
		}})
		w.ticks(4)
		leader := w.nodes[0]
		answers := 0
		for i := range n {
			leader.core.Propose([]Proposal{{Cmd: fmt.Appendf(nil, "command %d", i), Done: func(r op.WriteResult) {
				if r.Code == op.OK {
					answers++
				}
			}}})
			if i%3 == 0 {
				w.ticks(1)
			}
		}
		w.ticks(4)
		if answers != n || len(spent) != n {
			t.Fatalf("%d answers, %d commands given back; want %d", answers, len(spent), n)
		}
		for at, times := range spent {
			if times != 1 && !f.SpentEarly {
				t.Errorf("command %p is given back %d times", at, times)
			}
		}
		for _, node := range w.nodes {
			found := 0
			for _, e := range node.core.groups[0].log.ents {
				if bytes.HasPrefix(e.GetData(), []byte("command ")) {
					found++
				}
			}
			if sound := found == n; sound == f.SpentEarly {
				t.Errorf("given back early %v: node %d has %d of %d commands", f.SpentEarly, node.id, found, n)
			}
		}
	}
}
