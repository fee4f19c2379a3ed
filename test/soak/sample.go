package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// The measures of a process.
const (
	memory      = "memory, MiB"
	disk        = "disk, MiB"
	descriptors = "descriptors"
	goroutines  = "goroutines"
)

// key names a measure of a process.
type key struct{ process, what string }

// sample is what all processes use at one time.
type sample map[key]float64

func takeSample(ctx context.Context, c *devcluster.Cluster) sample {
	s := make(sample)
	info := c.Info()
	for _, x := range info.Servers {
		s.add(x.ID, x.PID, filepath.Join(filepath.Dir(c.File()), x.ID), routines(ctx, x.HTTP))
	}
	for _, n := range info.Nodes {
		s.add(n.ID, n.PID, n.Data, routines(ctx, n.Metrics))
	}
	return s
}

// routines asks a process for its number of goroutines.
func routines(ctx context.Context, addr string) float64 {
	return harness.Metrics(ctx, addr, "go_goroutines")
}

func (s sample) add(id string, pid int, data string, running float64) {
	const mib = 1 << 20
	s[key{id, memory}] = harness.ProcMiB(pid, "VmRSS:")
	s[key{id, disk}] = harness.Allocated(data) / mib
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where there is no /proc
	s[key{id, descriptors}] = float64(len(fds))
	s[key{id, goroutines}] = running
}
