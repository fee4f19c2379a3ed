// Command soak lets a cluster of processes work steadily for a long time and
// says whether memory, disk, descriptors and goroutines stay bounded: `make
// soak`. The work writes, counts, expires, reads and watches a set of objects
// that does not grow; so what a process uses must come to a plateau. The first
// third of the time is for getting there; the means of the other two thirds are
// compared.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/chaos"
)

type options struct {
	duration          time.Duration
	nodes, partitions int
	clients           int
	pace              time.Duration
	every             time.Duration
}

func main() {
	chaos.Child()
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "of the work")
	flag.IntVar(&o.nodes, "nodes", 3, "data nodes")
	flag.IntVar(&o.partitions, "partitions", 16, "of the store")
	flag.IntVar(&o.clients, "clients", 8, "that work at once")
	flag.DurationVar(&o.pace, "pace", 5*time.Millisecond, "each client's pause between two operations")
	flag.DurationVar(&o.every, "every", 0, "between two samples; 0: a 120th of the duration")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// errGrows tells that something came to no plateau.
var errGrows = errors.New("something grows without bound")

func run(ctx context.Context, o options) (err error) {
	if o.every == 0 {
		o.every = max(o.duration/120, 200*time.Millisecond)
	}
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			err = fmt.Errorf("%w\ndata and logs: %s", err, dir)
		}
	}()
	metrics := newMetrics()
	c, err := devcluster.Start(ctx, devcluster.Options{
		Dir: filepath.Join(dir, "cluster"), Nodes: o.nodes, Partitions: o.partitions,
		DieWithParent: true, StartTimeout: 2 * time.Minute, Launch: metrics.launch,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	w, err := startWork(ctx, c, o)
	if err != nil {
		return err
	}
	var samples []sample
	end := time.After(o.duration)
	for tick := time.NewTicker(o.every); ; {
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), w.stop())
		case <-end:
			return judge(samples, w)
		case <-tick.C:
			samples = append(samples, takeSample(ctx, c, metrics))
		}
	}
}

func judge(samples []sample, w *work) error {
	if err := w.stop(); err != nil {
		return err
	}
	fmt.Printf("%d operations, %d events seen by a watcher, %d logins, %d samples\n", w.operations.Load(), w.events.Load(), w.logins.Load(), len(samples))
	grown := compare(samples)
	printTable(grown)
	if slices.ContainsFunc(grown, func(g growth) bool { return g.tooMuch() }) {
		return errGrows
	}
	return nil
}
