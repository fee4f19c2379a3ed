// Command bench measures this machine's RosterDB with the load generators
// xmppload and kvload ("the rulers", kept outside of this repository) against a
// fresh development cluster, and prints tables with the medians of its passes.
//
//	make bench RULERS=../shared/tools
//	make bench-xmpp RULERS=../shared/tools
//	make bench-store RULERS=../shared/tools
//	make bench-scale RULERS=../shared/tools
//	make bench-cluster RULERS=../shared/tools
//
// The second measures the XMPP server beside ejabberd and Prosody, where these are installed, the
// third the store beside etcd, NATS and Redis, the fourth the store alone as objects, partitions and data nodes grow,
// the fifth several XMPP servers of one domain beside two nodes of ejabberd.
// Nothing else should run on the machine meanwhile; the CPU time of the servers
// an operation is the figure that other load disturbs least.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

type options struct {
	rulers string
	passes int
	only   string
	quick  bool
	parts  string
	scale  scaleOptions
}

func main() {
	var o options
	flag.StringVar(&o.rulers, "rulers", "../shared/tools", "directory with the sources of xmppload and kvload")
	flag.IntVar(&o.passes, "passes", 3, "passes; the tables show medians")
	flag.StringVar(&o.only, "only", "", "xmpp, kv, peers, store, scale or cluster: measure only that; peers are XMPP servers of others, store is ours beside others, scale what growth costs, cluster several XMPP servers of a domain beside ejabberd")
	flag.BoolVar(&o.quick, "quick", false, "short runs, to see that everything works")
	flag.StringVar(&o.parts, "parts", allParts, "with -only cluster: what is measured")
	o.scale.flags()
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "rosterdb-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{o: o, dir: dir}
	switch o.only {
	case "peers":
		return b.peers(ctx)
	case "store":
		return b.store(ctx)
	case "scale":
		return b.scale(ctx)
	case "cluster":
		return b.clusterRun(ctx)
	}
	if err := b.build(ctx, "xmppload", "kvload"); err != nil {
		return err
	}
	if o.only != "kv" {
		if err := b.withCluster(ctx, "xmpp", b.xmpp); err != nil {
			return err
		}
	}
	if o.only != "xmpp" {
		if err := b.withCluster(ctx, "kv", b.kv); err != nil {
			return err
		}
	}
	return nil
}

type bench struct {
	o       options
	dir     string
	ringctl string
	cluster *devcluster.Cluster
}

func (b *bench) bin(name string) string { return filepath.Join(b.dir, name) }

// build compiles the rulers, which are modules of their own, and our parts.
func (b *bench) build(ctx context.Context, rulers ...string) error {
	for _, ruler := range rulers {
		src, err := b.source(ruler)
		if err != nil {
			return err
		}
		if err := goBuild(ctx, src, b.bin(ruler), "."); err != nil {
			return err
		}
	}
	b.ringctl = b.bin("ringctl")
	if err := goBuild(ctx, ".", b.ringctl, "github.com/rosterdb/rosterdb/cli/ringctl"); err != nil {
		return err
	}
	return goBuild(ctx, ".", b.bin("kvchild"), "github.com/rosterdb/rosterdb/test/bench/kvchild")
}

// source is where a ruler's sources are.
func (b *bench) source(ruler string) (string, error) {
	src := filepath.Join(b.o.rulers, ruler)
	if _, err := os.Stat(filepath.Join(src, "go.mod")); err != nil {
		return "", fmt.Errorf("the load generator %s is not in %s; name the directory that holds it with RULERS=DIR: %w", ruler, src, err)
	}
	return src, nil
}

func goBuild(ctx context.Context, dir, output, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", output, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}

// withCluster runs measurements against a fresh cluster.
func (b *bench) withCluster(ctx context.Context, name string, measure func(context.Context) error) (err error) {
	if b.cluster, err = b.startCluster(ctx, filepath.Join(b.dir, name)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.cluster.Close()) }()
	return measure(ctx)
}

func (b *bench) startCluster(ctx context.Context, dir string) (*devcluster.Cluster, error) {
	return b.startSized(ctx, dir, 3, 0)
}

// startSized starts a cluster of so many data nodes and partitions; 0: as many as by default.
func (b *bench) startSized(ctx context.Context, dir string, nodes, partitions int) (*devcluster.Cluster, error) {
	return devcluster.Start(ctx, devcluster.Options{
		Dir: dir, Binary: b.ringctl, Nodes: nodes, Partitions: partitions,
		InsecurePlaintext: true, OpenRegistration: true, DieWithParent: true,
		StartTimeout: scaleTime, StopTimeout: scaleTime, Metrics: true,
	})
}

// load runs a ruler and returns the JSON lines it prints.
func (b *bench) load(ctx context.Context, ruler string, args ...string) ([]sample, error) {
	var env []string
	if b.cluster != nil {
		env = append(env, "ROSTERDB_DEV="+b.cluster.File())
	}
	return b.loadWith(ctx, env, ruler, args...)
}

// loadWith is load with further environment.
func (b *bench) loadWith(ctx context.Context, env []string, ruler string, args ...string) ([]sample, error) {
	fmt.Fprintln(os.Stderr, ruler, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, b.bin(ruler), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", ruler, strings.Join(args, " "), err, out)
	}
	return parse(out)
}

func pidList(pids ...int) string {
	s := make([]string, len(pids))
	for i, p := range pids {
		s[i] = strconv.Itoa(p)
	}
	return strings.Join(s, ",")
}

// machine says what the figures were measured on.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores", model, runtime.NumCPU())
}
