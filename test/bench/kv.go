package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// kv measures the store through kvload's exec driver and kvchild, which uses
// appclient. The processes measured are the data nodes and the XMPP server.
func (b *bench) kv(ctx context.Context) error {
	info := b.cluster.Info()
	pids, dirs := []int{info.Servers[0].PID}, []string{}
	for _, n := range info.Nodes {
		pids = append(pids, n.PID)
		dirs = append(dirs, n.Data)
	}
	keys, run, warm := "10000", "3s", "500ms"
	if b.o.quick {
		keys, run, warm = "500", "1s", "200ms"
	}
	common := []string{
		"-name", "rosterdb", "-driver", "exec", "-o", "cmd=" + b.bin("kvchild"), "-conns", "1",
		"-endpoints", info.Servers[0].C2S, "-pid", pidList(pids...), "-data", strings.Join(dirs, ","), "-keys", keys,
	}
	for _, size := range []string{"256", "4096"} {
		if _, err := b.load(ctx, "kvload", append(common, "-value-size", size, "-load", "-duration", "0")...); err != nil {
			return err
		}
	}
	points := []struct{ size, presets, clients string }{
		{"256", "W", "1,16,64,256"},
		{"256", "B", "64"},
		{"256", "C", "1,64,256"},
		{"4096", "W,B,C", "64"},
	}
	var all samples
	for pass := range b.o.passes {
		for _, p := range points {
			args := append(append([]string{}, common...), "-seed", strconv.Itoa(pass+1), "-warmup", warm, "-duration", run,
				"-value-size", p.size, "-preset", p.presets, "-clients", p.clients)
			got, err := b.load(ctx, "kvload", args...)
			if err != nil {
				return err
			}
			for _, s := range got {
				all.add(s.title(), []sample{s})
			}
		}
	}
	fmt.Printf("\nstore: 3 data nodes, one XMPP server, plain TCP on loopback; medians, passes: %d; %s\n\n", b.o.passes, machine())
	return all.print([]column{
		{"ops/s", "ops_s"},
		{"write p50 ms", "write.p50_ms"},
		{"write p99 ms", "write.p99_ms"},
		{"read p50 ms", "read.p50_ms"},
		{"read p99 ms", "read.p99_ms"},
		{"server CPU s/1000", "server_cpu_s_per_1000"},
		{"client CPU s/1000", "client_cpu_s_per_1000"},
		{"RSS MiB", "server_rss_mib"},
		{"disk amp", "disk_write_amp"},
		{"errors", "errors"},
	})
}
