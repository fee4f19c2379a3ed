package xmppd_test

import (
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/modules/offline"
)

// TestClaimOfLastProcess: what another server has claimed is its own as long as that process is connected: a claim of the process before
// is void, and one of a server that is not there waits.
func TestClaimOfLastProcess(t *testing.T) {
	for _, own := range []xmppd.Together{{}, {OneProcess: true}} {
		x := startTrio(t, trioOptions{n: 2, shared: true, own: own})
		process := x.servers[1].Node().Self().Incarnation
		last := offline.Gone
		if own.OneProcess {
			last = offline.Here
		}
		for _, c := range []struct {
			server  string
			process uint64
			want    offline.Fate
		}{{"x2", process, offline.Here}, {"x2", process + 1, last}, {"x3", process, offline.Away}} {
			if got := x.servers[0].Fate(c.server, c.process); got != c.want {
				t.Errorf("%+v: of %s %d: %v, not %v", own.OneProcess, c.server, c.process-process, got, c.want)
			}
		}
	}
}
