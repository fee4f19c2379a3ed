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
	live        = "live heap, MiB"    // what the last collection left
	own         = "own memory, MiB"   // of no file: the heap with its garbage and what was given back late
	mapped      = "mapped files, MiB" // pages of files in memory, which the kernel takes back: told, and bounded by the disk's
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
		s.add(x.ID, x.PID, filepath.Join(filepath.Dir(c.File()), x.ID), askRuntime(ctx, x.HTTP))
	}
	for _, n := range info.Nodes {
		s.add(n.ID, n.PID, n.Data, askRuntime(ctx, n.Metrics))
	}
	return s
}

const mib = 1 << 20

// runtime is what a process tells of itself.
type runtime struct{ routines, live float64 } // live is in MiB

// askRuntime asks a process. At which size the heap is collected next follows from what was alive after the last
// collection (with stacks and globals) and the percentage of garbage beside that, GOGC.
func askRuntime(ctx context.Context, addr string) runtime {
	goal, percent := harness.Metrics(ctx, addr, "go_memstats_next_gc_bytes"), harness.Metrics(ctx, addr, "go_gc_gogc_percent")
	return runtime{routines: harness.Metrics(ctx, addr, "go_goroutines"), live: goal / (1 + percent/100) / mib}
}

func (s sample) add(id string, pid int, data string, told runtime) {
	s[key{id, live}] = told.live
	s[key{id, own}] = harness.ProcMiB(pid, "RssAnon:")
	s[key{id, mapped}] = harness.ProcMiB(pid, "RssFile:")
	s[key{id, disk}] = harness.Allocated(data) / mib
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where there is no /proc
	s[key{id, descriptors}] = float64(len(fds))
	s[key{id, goroutines}] = told.routines
}
