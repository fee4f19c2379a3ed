package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fleet is a cluster of XMPP servers under measurement: ours, or that of a peer.
type fleet struct {
	name    string
	members []*fleetMember
	// whole tells whether the members that run are connected with one another.
	whole func(ctx context.Context, f *fleet) bool
}

// fleetMember is one server of a fleet. Its process may be another one after start.
type fleetMember struct {
	id, c2s, http string // http is where ours tells its metrics
	argv          []string
	log           string
	*daemon       // nil: it does not run
}

// wholeTime bounds the wait until servers have found each other.
const wholeTime = time.Minute

func (f *fleet) running() (on []*fleetMember) {
	for _, m := range f.members {
		if m.daemon != nil {
			on = append(on, m)
		}
	}
	return on
}

// pids are those of the members that run.
func (f *fleet) pids() (all []int) {
	for _, m := range f.running() {
		all = append(all, m.pid())
	}
	return all
}

// start starts the members that do not run, and waits until all are one cluster.
func (f *fleet) start(ctx context.Context) error {
	for _, m := range f.members {
		if m.daemon != nil {
			continue
		}
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	return f.gather(ctx)
}

// gather waits until the members that run are one cluster.
func (f *fleet) gather(ctx context.Context) error {
	for end := time.Now().Add(wholeTime); !f.whole(ctx, f); {
		if time.Now().After(end) {
			return fmt.Errorf("the %d servers of %s are not connected with one another after %v", len(f.running()), f.name, wholeTime)
		}
		for _, m := range f.running() {
			if err := m.rest(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *fleetMember) start(ctx context.Context) (err error) {
	if m.daemon, err = startDaemon(m.id, m.log, "", m.argv...); err != nil {
		return err
	}
	return m.listens(ctx)
}

// listens waits until the member takes connections.
func (m *fleetMember) listens(ctx context.Context) error {
	for end := time.Now().Add(wholeTime); ; {
		if reachable(m.c2s) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s takes no connections after %v; its log is %s", m.id, wholeTime, m.log)
		}
		if err := m.rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// kill ends the member as a power cut would.
func (m *fleetMember) kill() error {
	if err := m.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", m.id, err)
	}
	<-m.exited
	m.daemon = nil
	return nil
}

// signal is for SIGSTOP and SIGCONT.
func (m *fleetMember) signal(s syscall.Signal) error {
	if err := m.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s to %s: %w", s, m.id, err)
	}
	return nil
}

// stop ends all members.
func (f *fleet) stop() error {
	var errs []error
	for _, m := range f.running() {
		_ = m.signal(syscall.SIGCONT) // one that stands still can't end
		errs = append(errs, m.daemon.stop())
		m.daemon = nil
	}
	return errors.Join(errs...)
}

// write makes a file of a fleet's directory.
func write(dir, name string, content []byte) (string, error) {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}
