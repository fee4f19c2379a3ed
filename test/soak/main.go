// Command soak lets a cluster of processes work steadily for a long time and
// says whether what is alive in memory, memory, disk, descriptors and goroutines stay bounded: `make
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
	"slices"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/chaos"
)

type options struct {
	duration          time.Duration
	servers           int
	nodes, partitions int
	clients           int
	pace              time.Duration
	every             time.Duration
}

func main() {
	chaos.Child()
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "of the work")
	flag.IntVar(&o.servers, "servers", 3, "XMPP servers")
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

func run(ctx context.Context, o options) error {
	if o.every == 0 {
		o.every = max(o.duration/120, 200*time.Millisecond)
	}
	cluster := devcluster.Options{Servers: o.servers, Nodes: o.nodes, Partitions: o.partitions, Metrics: true}
	return chaos.WithCluster(ctx, cluster, func(ctx context.Context, c *devcluster.Cluster) error {
		w, err := startWork(ctx, c, o)
		if err != nil {
			return err
		}
		samples, err := observe(ctx, o, func() sample { return takeSample(ctx, c) })
		if err != nil {
			return errors.Join(err, w.stop())
		}
		return judge(samples, w)
	})
}

// observe takes samples until the time is over.
func observe(ctx context.Context, o options, take func() sample) (samples []sample, err error) {
	end := time.After(o.duration)
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-end:
			return samples, nil
		case <-tick.C:
			samples = append(samples, take())
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
	if i := slices.IndexFunc(grown, func(g growth) bool { return g.what == live && g.highest == 0 }); i >= 0 {
		return fmt.Errorf("%s tells nothing of its heap at /metrics", grown[i].process)
	}
	if slices.ContainsFunc(grown, func(g growth) bool { return g.tooMuch() }) {
		return errGrows
	}
	return nil
}
