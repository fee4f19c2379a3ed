package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

const mib = 1 << 20

// usage is what the processes of a cluster have used of the machine so far, and
// what they hold of it.
type usage struct {
	cpu float64 // seconds, of all processes
	// written is what the data nodes tell that they have written to logs and state
	// files, in bytes. The kernel's count of a process has whole folios of the page
	// cache, many times that.
	written    float64
	anon, file float64 // MiB of the largest data node: its own memory, pages of files
	server     float64 // MiB of the XMPP server
	all        float64 // MiB of all processes
	state, wal float64 // MiB on the disk, of the largest data node
}

func use(ctx context.Context, c *devcluster.Cluster) usage {
	info := c.Info()
	var u usage
	for _, x := range info.Servers {
		u.cpu += cpuSeconds(x.PID)
		u.server += harness.ProcMiB(x.PID, "VmRSS:")
	}
	for _, n := range info.Nodes {
		u.cpu += cpuSeconds(n.PID)
		u.written += harness.Metrics(ctx, n.Metrics, "rosterdb_wal_written_bytes_total", "rosterdb_state_written_bytes_total")
		anon := harness.ProcMiB(n.PID, "RssAnon:")
		u.all += harness.ProcMiB(n.PID, "VmRSS:")
		if anon > u.anon {
			u.anon, u.file = anon, harness.ProcMiB(n.PID, "RssFile:")
		}
		u.state = max(u.state, harness.Allocated(filepath.Join(n.Data, "state.db"))/mib)
		u.wal = max(u.wal, harness.Allocated(filepath.Join(n.Data, "wal"))/mib)
	}
	u.all += u.server
	return u
}

// loadAverage is that of the machine, over the last minute.
func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// selfCPU is the time that this process has computed, in seconds.
func selfCPU() float64 { return cpuSeconds(os.Getpid()) }
