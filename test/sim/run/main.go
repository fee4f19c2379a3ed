// Command run lets the simulator run many seeds, on all cores: `make sim`. See
// package sim.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/rosterdb/rosterdb/test/sim"
)

// options say which seeds run, and how.
type options struct {
	first   uint64
	seeds   uint64
	within  time.Duration
	least   uint64 // seeds that run however long it takes
	workers int
	verbose bool
	worker  int // which of the workers this process is; negative: none, it starts them
}

func main() {
	var o options
	flag.Uint64Var(&o.first, "first", 1, "the first seed")
	flag.Uint64Var(&o.seeds, "seeds", 2000, "how many seeds")
	flag.DurationVar(&o.within, "within", 0, "begin no seed after that time; 0: run all of them")
	flag.Uint64Var(&o.least, "least", 0, "so many seeds run however long that takes; fewer are an error")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "processes that share the work")
	flag.BoolVar(&o.verbose, "v", false, "tell what happens (for one seed)")
	flag.IntVar(&o.worker, "worker", -1, "for the command's own use")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.seeds == 0 || o.workers < 1 {
		return fmt.Errorf("%d seeds by %d workers: ask for one at least of each", o.seeds, o.workers)
	}
	if o.worker >= 0 {
		return work(o, os.Stdout)
	}
	c := &campaign{opt: o, out: os.Stdout, began: time.Now()}
	if o.verbose {
		return c.one()
	}
	return c.run(ctx)
}

// result is what a worker tells of a seed, a line of JSON each.
type result struct {
	Seed   uint64
	Report sim.Report
	Error  string `json:",omitempty"`
}

// work runs a worker's share of the seeds. Runs of one process must not overlap,
// since raft draws from a source that all of a process share: hence processes.
func work(o options, out *os.File) error {
	debug.SetGCPercent(400) // little is alive, much is made
	began, enc := time.Now(), json.NewEncoder(out)
	for i := uint64(o.worker); i < o.seeds; i += uint64(o.workers) {
		if o.within > 0 && i >= o.least && time.Since(began) > o.within {
			return nil
		}
		res, err := runSeed(o.first+i, nil)
		if err != nil {
			return err
		}
		if err := enc.Encode(res); err != nil {
			return fmt.Errorf("tell what came of seed %d: %w", res.Seed, err)
		}
	}
	return nil
}

// runSeed runs one in a directory of its own.
func runSeed(seed uint64, verbose func(string)) (result, error) {
	dir, err := os.MkdirTemp("", "sim-")
	if err != nil {
		return result{}, fmt.Errorf("make a directory: %w", err)
	}
	res := result{Seed: seed}
	res.Report, err = sim.Run(sim.Options{Seed: seed, Dir: dir, Length: sim.DefaultLength, Verbose: verbose})
	if err != nil {
		res.Error = err.Error()
	}
	if err := os.RemoveAll(dir); err != nil {
		return result{}, fmt.Errorf("remove a directory: %w", err)
	}
	return res, nil
}
