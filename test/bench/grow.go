package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// fillCalls is how many calls of the filler are under way at once.
const fillCalls = 32

// grow fills one cluster in stages and measures at the end of each.
func (s *scaling) grow(ctx context.Context) error {
	err := s.within(ctx, 3, 0, func(ctx context.Context, c *devcluster.Cluster, _ time.Duration) error {
		f, err := newFiller(ctx, c)
		if err != nil {
			return err
		}
		defer f.close()
		f.scattered = s.o.scale.scattered
		have := 0
		for _, n := range s.objects {
			row := sample{}
			if err := s.stage(ctx, c, f, have, n, row); err != nil {
				return fmt.Errorf("%d objects: %w", n, err)
			}
			s.rows.add(fmt.Sprint(n), []sample{row})
			have = n
		}
		return nil
	})
	if len(s.rows.names) == 0 {
		return err
	}
	fmt.Printf("\nobjects of %d B, each a root, 3 data nodes, 271 partitions; %s; load average at the end %s\n\n", fillSize, machine(), loadAverage())
	for _, columns := range growColumns() {
		err = errors.Join(err, s.rows.print(columns))
		fmt.Println()
	}
	s.rows = samples{}
	return err // what was measured until then is shown all the same
}

func growColumns() [][]column {
	return [][]column{{
		{"loaded/s", "load_per_s"},
		{"CPU us each", "load_cpu_us"},
		{"written per byte of data", "load_amp"},
		{"data node MiB at most", "peak_anon_mib"},
		{"state.db MiB", "state_mib"},
		{"per byte of data", "state_per_byte"},
		{"WAL MiB", "wal_mib"},
		{"quiet: own MiB", "anon_mib"},
		{"of files MiB", "file_mib"},
		{"xmppd MiB", "xmppd_mib"},
	}, {
		{"kill -9: up s", "kill_up_s"},
		{"CPU s", "kill_cpu_s"},
		{"stop: down s", "stop_down_s"},
		{"up s", "stop_up_s"},
		{"CPU s", "stop_cpu_s"},
		{"cold: up s", "cold_up_s"},
		{"CPU s", "cold_cpu_s"},
		{"own MiB after", "after_anon_mib"},
		{"of files MiB after", "after_file_mib"},
	}, {
		{"reads, 1: per s", "C1.ops_s"},
		{"p50 ms", "C1.p50_ms"},
		{"p99 ms", "C1.p99_ms"},
		{"CPU us", "C1.cpu_us"},
		{"reads, 64: per s", "C64.ops_s"},
		{"p50 ms", "C64.p50_ms"},
		{"p99 ms", "C64.p99_ms"},
		{"CPU us", "C64.cpu_us"},
	}, {
		{"after restarts, 1: per s", "after1.ops_s"},
		{"p50 ms", "after1.p50_ms"},
		{"p99 ms", "after1.p99_ms"},
		{"CPU us", "after1.cpu_us"},
		{"64: per s", "after64.ops_s"},
		{"p50 ms", "after64.p50_ms"},
		{"p99 ms", "after64.p99_ms"},
		{"CPU us", "after64.cpu_us"},
	}, {
		{"writes, 64: per s", "W64.ops_s"},
		{"p50 ms", "W64.p50_ms"},
		{"p99 ms", "W64.p99_ms"},
		{"CPU us", "W64.cpu_us"},
		{"written per byte of data", "write_amp"},
	}}
}

// stage fills from have to n objects and measures.
func (s *scaling) stage(ctx context.Context, c *devcluster.Cluster, f *filler, have, n int, row sample) error {
	if err := s.filled(ctx, c, f, have, n, row); err != nil {
		return err
	}
	for _, m := range []struct {
		name, preset string
		clients      int
	}{{"C1", "C", 1}, {"C64", "C", 64}, {"W64", "W", 64}} {
		if err := s.under(ctx, c, n, m.name, m.preset, m.clients, row); err != nil {
			return err
		}
	}
	if err := s.restarts(ctx, c, row); err != nil {
		return err
	}
	after := use(ctx, c)
	row["after_anon_mib"], row["after_file_mib"] = after.anon, after.file
	for _, clients := range []int{1, 64} {
		if err := s.under(ctx, c, n, fmt.Sprint("after", clients), "C", clients, row); err != nil {
			return err
		}
	}
	return nil
}

// filled loads, and measures what that has cost until all of it is where it stays.
func (s *scaling) filled(ctx context.Context, c *devcluster.Cluster, f *filler, have, n int, row sample) error {
	before, began := use(ctx, c), time.Now()
	done := make(chan error, 1)
	go func() { done <- f.fill(ctx, have, n, fillCalls) }()
	peak := 0.0
	for tick := time.NewTicker(time.Second); ; {
		select {
		case err := <-done:
			tick.Stop()
			if err != nil {
				return err
			}
		case <-tick.C:
			peak = max(peak, use(ctx, c).anon)
			continue
		}
		break
	}
	took := time.Since(began).Seconds()
	if err := s.quiet(ctx, c); err != nil {
		return err
	}
	now := use(ctx, c)
	added := float64(n - have)
	row["load_per_s"] = added / took
	row["load_cpu_us"] = (now.cpu - before.cpu) * 1e6 / added
	row["peak_anon_mib"] = max(peak, now.anon)
	row["load_amp"] = perByte(now.written-before.written, added)
	row["state_mib"], row["wal_mib"] = now.state, now.wal
	row["state_per_byte"] = now.state * mib / (float64(n) * (fillSize + fillKey))
	row["anon_mib"], row["file_mib"], row["xmppd_mib"] = now.anon, now.file, now.server
	fmt.Fprintf(os.Stderr, "%d objects: %.0f/s, %.0f us each, %.1f bytes written a byte of data, %.0f MiB at most, state.db %.0f MiB; load average %s\n",
		n, row["load_per_s"], row["load_cpu_us"], row["load_amp"], row["peak_anon_mib"], now.state, loadAverage())
	return nil
}

// fillKey is the length of an object's name.
const fillKey = 13

// perByte relates bytes written to those of so many objects' names and values.
func perByte(written, objects float64) float64 { return written / (objects * (fillSize + fillKey)) }

// under measures reads or writes by kvload, and of writes what they have the disks write.
func (s *scaling) under(ctx context.Context, c *devcluster.Cluster, objects int, name, preset string, clients int, row sample) error {
	before := use(ctx, c)
	got, err := s.run(ctx, c, objects, preset, clients)
	if err != nil {
		return err
	}
	side := "read"
	if preset == "W" {
		side = "write"
	}
	m, _ := got[side].(map[string]any)
	if m == nil {
		return fmt.Errorf("kvload told nothing of %ss", side)
	}
	m["cpu_us"] = got["cpu_us_each"]
	row[name] = m
	if preset != "W" {
		return nil
	}
	if err := s.quiet(ctx, c); err != nil {
		return err
	}
	writes, _ := m["n"].(float64) // not 0, or there were errors
	row["write_amp"] = perByte(use(ctx, c).written-before.written, writes)
	return nil
}
