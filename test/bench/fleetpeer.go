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

	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// peerNodes is how many nodes the cluster of ejabberd has.
const peerNodes = 2

// peerFleet makes a cluster of ejabberd by the scripts of xmppload, and starts it: nodes join by a command. Where it
// can't be measured it is nil, and standard error has the reason.
func (b *bench) peerFleet(ctx context.Context) (_ *fleet, err error) {
	conf, err := b.peerConf()
	if err != nil || conf == "" {
		return nil, err
	}
	ports, err := devcluster.ChoosePorts(2*peerNodes, 0)
	if err != nil {
		return nil, err
	}
	f := &fleet{name: ejabberd}
	ctl := func(ctx context.Context, i int, command ...string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, wholeTime/3)
		defer cancel()
		out, err := exec.CommandContext(ctx, filepath.Join(conf, "ctl.sh"), append([]string{b.bin(peerNode(i)), peerNode(i)}, command...)...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s at %s: %w: %s", strings.Join(command, " "), peerNode(i), err, out)
		}
		return string(out), nil
	}
	f.whole = func(ctx context.Context, f *fleet) bool {
		for i := range f.members {
			out, err := ctl(ctx, i, "list_cluster")
			if err != nil || strings.Count(out, "benchx") != len(f.running()) {
				return false
			}
		}
		return true
	}
	for i := range peerNodes {
		m := &fleetMember{
			id: peerNode(i), c2s: ports[2*i], log: b.bin(peerNode(i) + ".log"),
			argv: []string{filepath.Join(conf, "run-ejabberd.sh"), b.bin(peerNode(i)), peerNode(i), port(ports[2*i]), port(ports[2*i+1]), "scram"},
		}
		f.members = append(f.members, m)
		if err := m.start(ctx); err != nil {
			return nil, errors.Join(err, f.stop())
		}
		if i == 0 {
			continue
		}
		if err := persist(func() error { return peerJoins(ctx, ctl, i) }); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	if err := f.gather(ctx); err != nil {
		return nil, errors.Join(err, f.stop())
	}
	for _, m := range f.members { // joining starts a node's listeners again
		if err := m.listens(ctx); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	return f, nil
}

// peerJoins has a node join the first one. It listens before it can.
func peerJoins(ctx context.Context, ctl func(context.Context, int, ...string) (string, error), i int) error {
	for _, node := range []int{0, i} {
		if _, err := ctl(ctx, node, "status"); err != nil {
			return err
		}
	}
	_, err := ctl(ctx, i, "join_cluster", peerNode(0))
	return err
}

// persist tries something a few times.
func persist(try func() error) (err error) {
	for range 5 {
		if err = try(); err == nil {
			return nil
		}
	}
	return err
}

func peerNode(i int) string { return "benchx" + strconv.Itoa(i+1) + "@localhost" }

// peerConf copies the scripts, "" where they are of no use, and lets ejabberd keep messages for who is away, as ours does.
func (b *bench) peerConf() (string, error) {
	s := server{name: ejabberd, program: "/usr/sbin/ejabberdctl", args: []string{filepath.Join(b.o.rulers, "xmppload", "conf", "run-ejabberd.sh")}}
	if why := s.missing(); why != "" {
		fmt.Fprintf(os.Stderr, "%s is not measured: %s\n", s.name, why)
		return "", nil
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // ejabberd runs as its own user
		return "", fmt.Errorf("open the directory of the bench: %w", err)
	}
	conf := b.bin("conf")
	if err := os.CopyFS(conf, os.DirFS(filepath.Join(b.o.rulers, "xmppload", "conf"))); err != nil {
		return "", fmt.Errorf("copy the scripts of xmppload: %w", err)
	}
	template := filepath.Join(conf, "ejabberd.yml.in")
	text, err := os.ReadFile(template)
	if err != nil {
		return "", err
	}
	return conf, os.WriteFile(template, append(text, "\n  mod_offline: {}\n"...), 0o600)
}
