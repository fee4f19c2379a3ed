package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is an XMPP server under measurement: ours, or a peer that the scripts of xmppload start.
type server struct {
	name     string
	c2s, tls string // addresses: plain, TLS from the first byte
	program  string // has to be installed
	args     []string
	dir      string // its files; they stay from one start to the next
}

const (
	ours     = "RosterDB xmppd"
	ejabberd = "ejabberd"
	prosody  = "Prosody"
)

// servers lists what can be measured here, and says on standard error what can't be and why.
func (b *bench) servers() []server {
	conf := filepath.Join(b.o.rulers, "xmppload", "conf")
	all := []server{
		{name: ours, c2s: "127.0.0.1:6222", tls: "127.0.0.1:6223", program: b.ringctl},
		{name: ejabberd, c2s: "127.0.0.1:5422", tls: "127.0.0.1:5423", program: "/usr/sbin/ejabberdctl"},
		{name: prosody, c2s: "127.0.0.1:5322", tls: "127.0.0.1:5323", program: "/usr/bin/prosody"},
	}
	var on []server
	for _, s := range all {
		s.dir = b.bin(strings.Fields(s.name)[0])
		switch s.name {
		case ours:
			s.args = []string{
				b.ringctl, "xmppd", "serve", "--domain", "localhost", "--data", s.dir, "--log-level", "warn",
				"--listen-c2s", s.c2s, "--listen-tls", s.tls, "--insecure-plaintext", "--registration", "open",
			}
		case ejabberd:
			s.args = []string{filepath.Join(conf, "run-ejabberd.sh"), s.dir, "bench@localhost", port(s.c2s), port(s.tls)}
		case prosody: // its ports are in the script's template
			s.args = []string{filepath.Join(conf, "run-prosody.sh"), s.dir}
		}
		if why := s.missing(); why != "" {
			fmt.Fprintf(os.Stderr, "%s is not measured: %s\n", s.name, why)
			continue
		}
		on = append(on, s)
	}
	return on
}

func port(addr string) string {
	_, p, _ := strings.Cut(addr, ":")
	return p
}

func (s *server) missing() string {
	if _, err := os.Stat(s.program); err != nil {
		return s.program + " is not there; install it with: apt-get install " + strings.ToLower(s.name)
	}
	if _, err := os.Stat(s.args[0]); err != nil {
		return s.args[0] + " is not there; it comes with the load generator (RULERS=DIR)"
	}
	if s.name != ours && os.Geteuid() != 0 {
		return "its script changes to the distribution's user, for which it has to run as root"
	}
	return ""
}

// running is a started server.
type running struct {
	server
	*daemon
}

// start runs a server and waits until it takes connections.
func (b *bench) start(ctx context.Context, s server) (*running, error) {
	if c, err := net.Dial("tcp", s.c2s); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("start %s: something listens on %s already; stop it first", s.name, s.c2s)
	}
	d, err := startDaemon(s.name, s.dir+".log", "", s.args...)
	if err != nil {
		return nil, err
	}
	r := &running{server: s, daemon: d}
	if err := r.ready(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

const startTime = 30 * time.Second

func (r *running) ready(ctx context.Context) error {
	for end := time.Now().Add(startTime); ; {
		for _, addr := range []string{r.c2s, r.tls} {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				break
			}
			_ = c.Close()
			if addr == r.tls {
				return nil
			}
		}
		if err := r.rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s takes no connections after %v; its log is %s", r.name, startTime, r.dir+".log")
		}
	}
}

// nameServers returns the pids of Erlang's epmd, which the first Erlang node of a machine starts
// and leaves behind.
func nameServers() map[int]bool {
	found := make(map[int]bool)
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		comm, _ := os.ReadFile(name)
		var pid int
		if _, err := fmt.Sscanf(name, "/proc/%d/comm", &pid); err == nil && strings.TrimSpace(string(comm)) == "epmd" {
			found[pid] = true
		}
	}
	return found
}

// stopNameServers ends the epmd that runs now and did not before.
func stopNameServers(before map[int]bool) error {
	var errs []error
	for pid := range nameServers() {
		if !before[pid] {
			errs = append(errs, syscall.Kill(pid, syscall.SIGTERM))
		}
	}
	return errors.Join(errs...)
}
