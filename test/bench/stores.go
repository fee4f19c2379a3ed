package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// store is a replicated store under measurement: RosterDB, or a peer.
type store struct {
	name   string
	driver []string // arguments of kvload
	start  func(ctx context.Context, dir string) (*storeRun, error)
}

// storeRun is a store that runs.
type storeRun struct {
	endpoints []string
	pids      []int
	dirs      []string
	env       []string // of the load generator
	stop      func() error
}

const (
	storeOurs  = "RosterDB"
	storeEtcd  = "etcd"
	storeNATS  = "NATS, sync always"
	storeRedis = "Redis, AOF always, WAIT 1"
)

// stores lists what can be measured here, and says on standard error what can't
// be and why.
func (b *bench) stores(ctx context.Context) []store {
	all := []store{{storeOurs, []string{"-driver", "rosterdb", "-conns", "1"}, b.startOurs}}
	for _, peer := range []struct {
		store
		program, pkg string
	}{
		{store{storeEtcd, []string{"-driver", "etcd"}, b.startEtcd}, "etcd", "go.etcd.io/etcd/server/v3"},
		{store{storeNATS, []string{"-driver", "nats"}, b.startNATS}, "nats-server", "github.com/nats-io/nats-server/v2"},
	} {
		if err := goBuild(ctx, "test/bench/stores", b.bin(peer.program), peer.pkg); err != nil {
			fmt.Fprintf(os.Stderr, "%s is not measured: %v\n", peer.name, err)
			continue
		}
		all = append(all, peer.store)
	}
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(os.Stderr, "%s is not measured: install it with: apt-get install redis-server redis-tools\n", storeRedis)
			return all
		}
	}
	return append(all, store{storeRedis, []string{"-driver", "redis", "-conns", "1"}, b.startRedis})
}

// storeNodes is how many processes hold data; a Redis master has one replica.
const storeNodes, redisNodes = 3, 6

// daemons are the processes of one peer.
type daemons struct {
	dir   string
	ports []int
	all   []*daemon
	run   storeRun
}

// newDaemons picks free ports and makes a directory for each of n processes.
func newDaemons(dir string, n, portsEach int) (*daemons, error) {
	d := &daemons{dir: dir}
	d.run.stop = d.stop
	for range n * portsEach {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // held until all are chosen
		d.ports = append(d.ports, l.Addr().(*net.TCPAddr).Port)
	}
	for i := range n {
		d.run.dirs = append(d.run.dirs, filepath.Join(dir, fmt.Sprintf("n%d", i+1)))
		if err := os.MkdirAll(d.run.dirs[i], 0o700); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func addr(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func (d *daemons) start(name string, i, clientPort int, argv ...string) error {
	p, err := startDaemon(name, filepath.Join(d.dir, fmt.Sprintf("n%d.log", i+1)), d.run.dirs[i], argv...)
	if err != nil {
		return err
	}
	d.all = append(d.all, p)
	d.run.pids = append(d.run.pids, p.pid())
	d.run.endpoints = append(d.run.endpoints, addr(clientPort))
	return nil
}

func (d *daemons) stop() error {
	var errs []error
	for _, p := range d.all {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// ready waits until all processes take connections, and gives the store back.
func (d *daemons) ready(ctx context.Context) (*storeRun, error) {
	for i, p := range d.all {
		for end := time.Now().Add(startTime); ; {
			c, err := net.Dial("tcp", d.run.endpoints[i])
			if err == nil {
				_ = c.Close()
				break
			}
			if time.Now().After(end) {
				return nil, errors.Join(fmt.Errorf("%s takes no connections after %v; its log is %s", p.what, startTime, p.log), d.stop())
			}
			if err := p.rest(ctx, 50*time.Millisecond); err != nil {
				return nil, errors.Join(err, d.stop())
			}
		}
	}
	return &d.run, nil
}

func (b *bench) startOurs(ctx context.Context, dir string) (*storeRun, error) {
	c, err := b.startCluster(ctx, dir)
	if err != nil {
		return nil, err
	}
	info := c.Info()
	r := &storeRun{
		endpoints: []string{info.Servers[0].C2S}, pids: []int{info.Servers[0].PID},
		env: []string{"ROSTERDB_DEV=" + c.File()}, stop: c.Close,
	}
	for _, n := range info.Nodes {
		r.pids, r.dirs = append(r.pids, n.PID), append(r.dirs, n.Data)
	}
	return r, nil
}

func (b *bench) startEtcd(ctx context.Context, dir string) (*storeRun, error) {
	d, err := newDaemons(dir, storeNodes, 2)
	if err != nil {
		return nil, err
	}
	var cluster []string
	for i := range storeNodes {
		cluster = append(cluster, fmt.Sprintf("n%d=http://%s", i, addr(d.ports[2*i+1])))
	}
	for i := range storeNodes {
		client, peer := "http://"+addr(d.ports[2*i]), "http://"+addr(d.ports[2*i+1])
		if err := d.start(storeEtcd, i, d.ports[2*i], b.bin("etcd"), "--name", fmt.Sprintf("n%d", i), "--data-dir", "data",
			"--log-level", "warn", "--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(cluster, ","),
			"--initial-cluster-state", "new", "--quota-backend-bytes", strconv.Itoa(8<<30)); err != nil {
			return nil, errors.Join(err, d.stop())
		}
	}
	return d.ready(ctx)
}

func (b *bench) startNATS(ctx context.Context, dir string) (*storeRun, error) {
	d, err := newDaemons(dir, storeNodes, 2)
	if err != nil {
		return nil, err
	}
	for i := range storeNodes {
		var routes []string
		for j := range storeNodes {
			if j != i {
				routes = append(routes, "nats://"+addr(d.ports[2*j+1]))
			}
		}
		conf := fmt.Sprintf("server_name: n%d\nlisten: %q\njetstream { store_dir: js, max_file: 20G, sync_interval: always }\n"+
			"cluster { name: kv, listen: %q, routes: [%s] }\n", i, addr(d.ports[2*i]), addr(d.ports[2*i+1]), strings.Join(routes, ", "))
		file := filepath.Join(d.run.dirs[i], "nats.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return nil, errors.Join(err, d.stop())
		}
		if err := d.start(storeNATS, i, d.ports[2*i], b.bin("nats-server"), "-c", file); err != nil {
			return nil, errors.Join(err, d.stop())
		}
	}
	return d.ready(ctx)
}

// startRedis runs three masters with one replica each; WAIT 1 makes each write
// reach both.
func (b *bench) startRedis(ctx context.Context, dir string) (*storeRun, error) {
	d, err := newDaemons(dir, redisNodes, 2)
	if err != nil {
		return nil, err
	}
	for i := range redisNodes {
		if err := d.start(storeRedis, i, d.ports[2*i], "redis-server", "--port", strconv.Itoa(d.ports[2*i]), "--bind", "127.0.0.1",
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(d.ports[2*i+1]), "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", "5000", "--appendonly", "yes", "--appendfsync", "always", "--save", "",
			"--daemonize", "no", "--protected-mode", "no", "--repl-diskless-sync-delay", "0"); err != nil {
			return nil, errors.Join(err, d.stop())
		}
	}
	run, err := d.ready(ctx)
	if err != nil {
		return nil, err
	}
	args := append(append([]string{"--cluster", "create"}, run.endpoints...), "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("make a cluster of Redis: %w\n%s", err, out), d.stop())
	}
	run.endpoints = run.endpoints[:storeNodes]
	return run, nil
}
