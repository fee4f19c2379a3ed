package appclient_test

import (
	"sync"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// TestWatchGoesToTheLeader: a question that a replica is not fit to answer goes to
// the leader next, nothing is lost and nothing told twice. The seeded fault asks
// anybody else: of two, that are as near, one is refused again.
func TestWatchGoesToTheLeader(t *testing.T) {
	for _, fault := range []bool{false, true} {
		events := 15
		if fault {
			events = 200 // but it is seen after a few
		}
		var mu sync.Mutex
		var leader string
		var refused bool // the last question
		wrong, refusals := 0, 0
		cl := cluster(t, appclienttest.Options{Nodes: 3, Partitions: 3, Fault: func(s appclienttest.Stanza) (f appclienttest.Fault) {
			mu.Lock()
			defer mu.Unlock()
			if s.Writes > 0 {
				leader = s.Node
			}
			if s.Changes == 0 || leader == "" {
				return f
			}
			if refused && s.Node != leader {
				wrong++
			}
			if refused = s.Node != leader; refused {
				refusals++
				f.Refuse = op.Redirect
			}
			return f
		}})
		c, err := appclient.DialWith(deadline(t), cl.Config(), appclient.Faults{WatchAnywhere: fault})
		if err != nil {
			t.Fatal(err)
		}
		r := c.Root("r")
		put := func() uint64 {
			version, err := r.Put(deadline(t), "a", nil)
			if err != nil {
				t.Fatal(err)
			}
			return version
		}
		put() // now the leader is known
		w := r.Watch(appclient.WatchOptions{})
		if err := w.Begin(deadline(t)); err != nil {
			t.Fatal(err)
		}
		seen := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return wrong > 0
		}
		for i := 0; i < events && !seen(); i++ {
			want := put()
			for ev, err := range w.Events(deadline(t)) {
				if err != nil || ev.Revision != want {
					t.Fatalf("%+v, %v; want revision %d", ev, err, want)
				}
				break
			}
		}
		mu.Lock()
		if refusals == 0 || (wrong > 0) != fault {
			t.Errorf("fault %v: of %d questions that were refused %d went to another but the leader", fault, refusals, wrong)
		}
		mu.Unlock()
		_ = c.Close() // never fails
	}
}
