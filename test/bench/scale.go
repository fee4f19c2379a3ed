package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// scaleTime bounds what a large cluster may take for a step: a start, a stop, getting quiet.
const scaleTime = 10 * time.Minute

// scaleOptions are the sizes that -only scale goes through.
type scaleOptions struct {
	objects, partitions, nodes string
	cold, scattered            bool
}

func (o *scaleOptions) flags() {
	flag.StringVar(&o.objects, "objects", "100000,1000000,10000000", "with -only scale: objects in a cluster, ascending; empty: leave this out")
	flag.StringVar(&o.partitions, "partitions", "64,271,1021", "with -only scale: partitions on 3 data nodes; empty: leave this out")
	flag.StringVar(&o.nodes, "nodes", "3,5,9", "with -only scale: data nodes with 271 partitions; empty: leave this out")
	flag.BoolVar(&o.scattered, "scattered", false, "with -only scale: load objects in scattered order, not in that of their keys; it writes many times as much")
	flag.BoolVar(&o.cold, "cold", true, "with -only scale: restart also with nothing of the node's files in memory (Linux)")
}

// counts reads a list of numbers.
func counts(name, list string) ([]int, error) {
	var all []int
	for s := range strings.SplitSeq(list, ",") {
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || len(all) > 0 && n <= all[len(all)-1] {
			return nil, fmt.Errorf("-%s %q: a list of ascending numbers is wanted, such as 3,5,9", name, list)
		}
		all = append(all, n)
	}
	return all, nil
}

// scaling is one measurement of -only scale: its sizes, and what came out.
type scaling struct {
	*bench
	objects, partitions, nodes []int
	rows                       samples
}

// scale measures what more objects cost, and more partitions and data nodes. Without
// the ruler nothing can be measured: it says so, and that is no error.
func (b *bench) scale(ctx context.Context) error {
	src, err := b.source("kvload")
	if err != nil {
		fmt.Fprintln(os.Stderr, "nothing is measured:", err)
		return nil
	}
	s, err := b.scaling()
	if err != nil {
		return err
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.buildStoreLoad(ctx, src); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s; load average %s\n", machine(), loadAverage())
	if len(s.objects) > 0 {
		if err := s.grow(ctx); err != nil {
			return err
		}
	}
	return s.spread(ctx)
}

func (b *bench) scaling() (*scaling, error) {
	o := b.o.scale
	if b.o.quick {
		o.objects, o.partitions, o.nodes = "2000,20000", "64", "3"
	}
	s := &scaling{bench: b}
	var errs [3]error
	s.objects, errs[0] = counts("objects", o.objects)
	s.partitions, errs[1] = counts("partitions", o.partitions)
	s.nodes, errs[2] = counts("nodes", o.nodes)
	return s, errors.Join(errs[:]...)
}

// within runs a measurement against a fresh cluster and removes its files.
func (s *scaling) within(ctx context.Context, nodes, partitions int, measure func(context.Context, *devcluster.Cluster, time.Duration) error) (err error) {
	dir := s.bin("scale")
	began := time.Now()
	c, err := s.startSized(ctx, dir, nodes, partitions)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() { err = errors.Join(err, c.Close(), os.RemoveAll(dir)) }()
	return measure(ctx, c, time.Since(began))
}

// run measures reads (C) or writes (W) of objects that are there, each as likely as
// any other.
func (s *scaling) run(ctx context.Context, c *devcluster.Cluster, objects int, preset string, clients int) (sample, error) {
	warm, run := "1s", "5s"
	if s.o.quick {
		warm, run = "200ms", "1s"
	}
	if preset == "W" {
		warm = "0s" // all that is written counts
	}
	info := c.Info()
	pids, dirs := []int{info.Servers[0].PID}, []string{}
	for _, n := range info.Nodes {
		pids, dirs = append(pids, n.PID), append(dirs, n.Data)
	}
	got, err := s.loadWith(ctx, []string{"ROSTERDB_DEV=" + c.File()}, "kvload",
		"-driver", "rosterdb", "-conns", "1", "-endpoints", info.Servers[0].C2S, "-pid", pidList(pids...), "-data", strings.Join(dirs, ","),
		"-keys", strconv.Itoa(objects), "-value-size", strconv.Itoa(fillSize), "-dist", "uniform", "-timeout", "30s",
		"-preset", preset, "-clients", strconv.Itoa(clients), "-warmup", warm, "-duration", run)
	if err != nil {
		return nil, err
	}
	if len(got) != 1 {
		return nil, fmt.Errorf("kvload told of %d runs, not of one", len(got))
	}
	got[0].rename("server_cpu_s_per_1000", "cpu_us_each", 1000)
	if n, _ := got[0].number("errors"); n > 0 {
		return nil, fmt.Errorf("kvload met %.0f errors: %v", n, got[0]["error_text"])
	}
	return got[0], nil
}

// quietCores is the processor time a second below which a cluster counts as idle.
const quietCores = 0.2

// quiet waits until a cluster has nothing to do any more, and has written all it
// had to: the measured span of what went before ends there.
func (s *scaling) quiet(ctx context.Context, c *devcluster.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, scaleTime)
	defer cancel()
	before := use(ctx, c)
	for still := 0; still < 3; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster is not quiet after %v: %w", scaleTime, context.Cause(ctx))
		case <-time.After(time.Second): // the span over which is looked
		}
		now := use(ctx, c)
		still++
		if now.cpu-before.cpu > quietCores || now.written != before.written {
			still = 0
		}
		before = now
	}
	return nil
}
