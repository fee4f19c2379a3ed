package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const (
	spreadObjects    = 10_000
	spreadPartitions = 271
	spreadNodes      = 3
)

// spread measures clusters with more partitions, and with more data nodes, each
// fresh, with the same work.
func (s *scaling) spread(ctx context.Context) error {
	var sizes [][2]int // nodes, partitions
	for _, p := range s.partitions {
		sizes = append(sizes, [2]int{spreadNodes, p})
	}
	for _, n := range s.nodes {
		if size := [2]int{n, spreadPartitions}; !slices.Contains(sizes, size) {
			sizes = append(sizes, size)
		}
	}
	if len(sizes) == 0 {
		return nil
	}
	for _, size := range sizes {
		err := s.within(ctx, size[0], size[1], func(ctx context.Context, c *devcluster.Cluster, ready time.Duration) error {
			row := sample{"ready_s": ready.Seconds()}
			s.rows.add(fmt.Sprintf("%d data nodes, %d partitions", size[0], size[1]), []sample{row})
			return s.spreadOne(ctx, c, row)
		})
		if err != nil {
			return fmt.Errorf("%d data nodes with %d partitions: %w", size[0], size[1], err)
		}
	}
	fmt.Printf("\n%d objects of %d B; a write is on 2 of 3 disks; CPU of all data nodes and xmppd; %s; load average at the end %s\n\n", spreadObjects, fillSize, machine(), loadAverage())
	return s.rows.print([]column{
		{"ready s", "ready_s"},
		{"idle cores", "idle_cores"},
		{"quiet: all MiB", "idle_mib"},
		{"writes, 64: per s", "W64.ops_s"},
		{"p99 ms", "W64.p99_ms"},
		{"CPU us", "W64.cpu_us"},
		{"reads, 64: per s", "C64.ops_s"},
		{"p99 ms", "C64.p99_ms"},
		{"CPU us", "C64.cpu_us"},
		{"all MiB after", "after_mib"},
	})
}

func (s *scaling) spreadOne(ctx context.Context, c *devcluster.Cluster, row sample) error {
	if err := s.quiet(ctx, c); err != nil {
		return err
	}
	span := 10 * time.Second
	if s.o.quick {
		span = 2 * time.Second
	}
	before := use(ctx, c)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(span): // the measured span
	}
	now := use(ctx, c)
	row["idle_cores"] = (now.cpu - before.cpu) / span.Seconds()
	row["idle_mib"] = now.all
	f, err := newFiller(ctx, c)
	if err != nil {
		return err
	}
	err = f.fill(ctx, 0, spreadObjects, fillCalls)
	f.close()
	if err != nil {
		return err
	}
	for _, preset := range []string{"W", "C"} {
		if err := s.under(ctx, c, spreadObjects, preset+"64", preset, 64, row); err != nil {
			return err
		}
	}
	row["after_mib"] = use(ctx, c).all
	fmt.Fprintf(os.Stderr, "%d data nodes: ready in %.1f s, %.3f cores idle; load average %s\n", len(c.Info().Nodes), row["ready_s"], row["idle_cores"], loadAverage())
	return nil
}
