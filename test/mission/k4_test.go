package mission

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

var foreign = flag.Int("foreign", 800, "row K4: sessions at other servers, each of an account of its own")

const (
	// What the directory takes for an account elsewhere of which a server has a share: it has two of three.
	bytesElsewhere = 300
	// A session that is here takes that at least, without its stream.
	bytesHere = 2100
	// What a heap without garbage grows by on its own, with the records' log.
	heapSlack = 400 << 10
)

// fewBytes tells whether a heap has grown by no more than n sessions elsewhere may cost.
func fewBytes(n int, grown float64) bool { return grown <= float64(n*bytesElsewhere+heapSlack) }

// checkMemory: what a server without clients of its own keeps for each session at the others is a few bytes.
func checkMemory(t *testing.T) {
	var users []string
	for i := range *foreign {
		users = append(users, fmt.Sprint("user", i))
	}
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: users})
	empty := sv.All[2]
	before, busy := liveHeap(t, empty), liveHeap(t, sv.All[0])
	for i, u := range users {
		sv.All[i%2].Online(t, u, "r")
	}
	sv.Quiet()
	if own := empty.Metric(t, `xmppd_cluster_directory_accounts{kind="own"}`); own != 0 {
		t.Errorf("%v accounts have sessions here", own)
	}
	// Each part has two owners of three; none has all.
	if share := empty.Metric(t, `xmppd_cluster_directory_accounts{kind="share"}`); share >= float64(len(users)) || share == 0 {
		t.Errorf("it knows %v of %d accounts", share, len(users))
	}
	grown := math.Inf(1)
	harness.Eventually(t, harness.Patience, "the heap has grown by little", func() bool {
		grown = min(grown, liveHeap(t, empty)-before)
		return fewBytes(len(users), grown)
	})
	t.Logf("%d sessions elsewhere: %.0f KiB more than before, %.0f; a server that has half of them: %.0f KiB more",
		len(users), grown/1024, before/1024, (liveHeap(t, sv.All[0])-busy)/1024)
}

// liveHeap is the heap of a server behind a collection of garbage.
func liveHeap(t *testing.T, m *harness.Member) float64 {
	t.Helper()
	client := http.Client{Timeout: harness.Patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(m.Data, "admin.sock"))
		},
	}}
	least := math.Inf(1)
	for range 3 {
		res, err := client.Get("http://xmppd/debug/pprof/heap?gc=1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close() // it was only read
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("collect garbage: %s, %v", res.Status, err)
		}
		least = min(least, m.Metric(t, "go_memstats_heap_alloc_bytes"))
	}
	return least
}

// TestFewBytesNoticesCopies: were all sessions copied to each server, row K4 would fail.
func TestFewBytesNoticesCopies(t *testing.T) {
	if n := *foreign; fewBytes(n, float64(n*bytesHere)) {
		t.Errorf("%d sessions of %d bytes may be anywhere", n, bytesHere)
	}
}
