package mission

import (
	"flag"
	"fmt"
	"math"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

var foreign = flag.Int("foreign", 600, "row K4: sessions at other servers")

// checkMemory: what a server without clients of its own keeps for each session at the others is a few bytes.
func checkMemory(t *testing.T) {
	const (
		each  = 20        // sessions of an account
		bytes = 4 << 10   // for a session elsewhere; one that is here takes more, and its stream much more
		slack = 512 << 10 // what comes and goes in a heap
	)
	var users []string
	for i := range *foreign / each {
		users = append(users, fmt.Sprint("user", i))
	}
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Local: true, Users: users})
	empty := sv.All[2]
	before, busy := leastHeap(t, empty), leastHeap(t, sv.All[0])
	for i, u := range users {
		for j := range each {
			sv.All[(i+j)%2].Online(t, u, fmt.Sprint("r", j))
		}
	}
	sv.Quiet()
	n := float64(each * len(users))
	if own := empty.Metric(t, `xmppd_cluster_directory_accounts{kind="own"}`); own != 0 {
		t.Errorf("%v accounts have sessions here", own)
	}
	// Each part has two owners of three; none has all.
	if share := empty.Metric(t, `xmppd_cluster_directory_accounts{kind="share"}`); share >= float64(len(users)) || share == 0 {
		t.Errorf("it knows %v of %d accounts", share, len(users))
	}
	harness.Eventually(t, harness.Patience, "the heap has grown by little", func() bool {
		return leastHeap(t, empty) <= before+n*bytes+slack
	})
	t.Logf("%v sessions elsewhere: heap %.0f KiB, before %.0f KiB; a server that has half of them: %.0f KiB, before %.0f KiB",
		n, leastHeap(t, empty)/1024, before/1024, leastHeap(t, sv.All[0])/1024, busy/1024)
}

// leastHeap is the smallest heap that some looks show: each look makes garbage, which is collected now and then.
func leastHeap(t *testing.T, m *harness.Member) float64 {
	least := math.Inf(1)
	for range 60 {
		least = min(least, m.Metric(t, "go_memstats_heap_alloc_bytes"))
	}
	return least
}
