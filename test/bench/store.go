package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What is asked of every store.
var (
	storeSizes   = []string{"256", "4096"} // bytes of a value
	storePresets = []string{"W", "B", "C"} // writes, 95 % reads, reads
)

func (b *bench) storeClients() []string {
	if b.o.quick {
		return []string{"16", "64"}
	}
	return []string{"1", "16", "64", "256"}
}

// store measures RosterDB beside etcd, NATS and Redis: in each pass one after
// the other, each alone and fresh, so that what else the machine does falls on
// all of them. Without the ruler nothing can be measured: it says so, and that is
// no error, since the ruler is no part of this repository.
func (b *bench) store(ctx context.Context) error {
	src, err := b.source("kvload")
	if err != nil {
		fmt.Fprintln(os.Stderr, "nothing is measured:", err)
		return nil
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.buildStoreLoad(ctx, src); err != nil {
		return err
	}
	stores := b.stores(ctx)
	var all samples
	for pass := range b.o.passes {
		for i := range stores {
			s := stores[(i+pass)%len(stores)]
			if err := b.storePass(ctx, s, pass, &all); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	all.sort()
	fmt.Printf("\nstores beside one another, 3 nodes each, loopback; medians, passes: %d; %s\n\n", b.o.passes, machine())
	if err := all.print([]column{
		{"per s", "ops_s"},
		{"CPU us each", "server_cpu_us_each"},
		{"write p50 ms", "write.p50_ms"},
		{"write p99 ms", "write.p99_ms"},
		{"read p50 ms", "read.p50_ms"},
		{"read p99 ms", "read.p99_ms"},
		{"client CPU us", "client_cpu_us_each"},
		{"RSS MiB", "server_rss_mib"},
		{"errors", "errors"},
	}); err != nil {
		return err
	}
	return b.judge(b.storeGates(), &all)
}

// buildStoreLoad builds kvload from a copy of its sources with our driver among
// them: all stores are driven from within the same process, none through a pipe.
func (b *bench) buildStoreLoad(ctx context.Context, src string) error {
	copied := b.bin("kvload-src")
	if err := os.CopyFS(copied, os.DirFS(src)); err != nil {
		return fmt.Errorf("copy the load generator: %w", err)
	}
	driver, err := os.ReadFile("test/bench/stores/driver_rosterdb.go.in")
	if err != nil {
		return fmt.Errorf("run the benchmark from the root of the repository: %w", err)
	}
	if err := os.WriteFile(filepath.Join(copied, "driver_rosterdb.go"), driver, 0o600); err != nil {
		return err
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	const module = "github.com/rosterdb/rosterdb"
	for _, args := range [][]string{
		{"mod", "edit", "-require=" + module + "@v0.0.0", "-replace=" + module + "=" + root},
		{"build", "-mod=mod", "-o", b.bin("kvload"), "."},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = copied
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the load generator: go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// storePass measures everything once on a fresh store.
func (b *bench) storePass(ctx context.Context, s store, pass int, all *samples) (err error) {
	dir := b.bin("store")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r, err := s.start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop(), os.RemoveAll(dir)) }()
	keys, run, warm := "10000", "2s", "300ms"
	if b.o.quick {
		keys, run, warm = "1000", "1s", "200ms"
	}
	common := append([]string{
		"-name", s.name, "-endpoints", strings.Join(r.endpoints, ","), "-pid", pidList(r.pids...), "-data", strings.Join(r.dirs, ","),
	}, s.driver...)
	if err := b.storeLeads(ctx, r, common); err != nil {
		return err
	}
	common = append(common, "-keys", keys, "-seed", strconv.Itoa(pass+1), "-warmup", warm, "-duration", run)
	for _, size := range storeSizes {
		args := append(common, "-value-size", size, "-load", "-preset", strings.Join(storePresets, ","), "-clients", strings.Join(b.storeClients(), ","))
		got, err := b.loadWith(ctx, r.env, "kvload", args...)
		if err != nil {
			return err
		}
		for _, m := range got {
			m.rename("server_cpu_s_per_1000", "server_cpu_us_each", 1000)
			m.rename("client_cpu_s_per_1000", "client_cpu_us_each", 1000)
			all.add(rowName(m.title(), s.name), []sample{m})
		}
	}
	return nil
}

// storeLeads waits until the store takes a write.
func (b *bench) storeLeads(ctx context.Context, r *storeRun, common []string) error {
	args := append(common, "-prefix", "wait", "-keys", "1", "-load", "-duration", "0")
	for end := time.Now().Add(startTime); ; {
		_, err := b.loadWith(ctx, r.env, "kvload", args...)
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

// storeGates: writes and linearizable reads faster than those of etcd and NATS
// from 16 clients up, at less CPU than NATS takes. (NATS reads any replica, so
// what it reads may be stale: the gate is hard on us.)
func (b *bench) storeGates() []gate {
	var all []gate
	for _, size := range storeSizes {
		for _, preset := range []string{"W", "C"} {
			for _, clients := range b.storeClients() {
				if clients == "1" {
					continue
				}
				work := title(preset, size, clients)
				mine := rowName(work, storeOurs)
				all = append(all,
					gate{what: work + ": more a second than etcd", ours: mine, peer: rowName(work, storeEtcd), field: "ops_s", more: true},
					gate{what: work + ": more a second than NATS", ours: mine, peer: rowName(work, storeNATS), field: "ops_s", more: true},
					gate{what: work + ": less CPU each than NATS", ours: mine, peer: rowName(work, storeNATS), field: "server_cpu_us_each", factor: 1})
			}
		}
	}
	return all
}
