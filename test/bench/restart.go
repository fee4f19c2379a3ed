package main

import (
	"context"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// restarts measures how long a data node is away: killed, stopped in good order,
// and started with nothing of its files in the machine's memory.
func (s *scaling) restarts(ctx context.Context, c *devcluster.Cluster, row sample) error {
	id := c.Info().Nodes[0].ID
	kill := func() error { return c.Kill(id) }
	stop := func() error {
		if err := c.Signal(id, syscall.SIGTERM); err != nil {
			return err
		}
		return until(ctx, func() bool { return slices.Contains(c.NotRunning(), id) })
	}
	for _, way := range []struct {
		name string
		stop func() error
		cold bool
	}{{"kill", kill, false}, {"stop", stop, false}, {"cold", kill, true}} {
		if way.cold && !s.o.scale.cold {
			continue
		}
		began := time.Now()
		if err := way.stop(); err != nil {
			return err
		}
		row[way.name+"_down_s"] = time.Since(began).Seconds()
		if way.cold {
			if ok, err := forget(dataFiles(c, id)); err != nil {
				return err
			} else if !ok {
				continue
			}
		}
		began = time.Now()
		if err := c.Restart(ctx, id); err != nil {
			return err
		}
		if err := c.WaitAvailable(ctx, id); err != nil {
			return err
		}
		row[way.name+"_up_s"] = time.Since(began).Seconds()
		row[way.name+"_cpu_s"] = cpuSeconds(c.Info().Nodes[0].PID)
		if err := c.WaitHealthy(ctx); err != nil {
			return err
		}
		if err := s.quiet(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// until polls a condition.
func until(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, scaleTime)
	defer cancel()
	for !ready() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond): // between two looks
		}
	}
	return nil
}

func dataFiles(c *devcluster.Cluster, id string) []string {
	dir := filepath.Join(filepath.Dir(c.File()), id)
	segments, _ := filepath.Glob(filepath.Join(dir, "wal", "*")) // the pattern is sound
	return append(segments, filepath.Join(dir, "state.db"))
}
