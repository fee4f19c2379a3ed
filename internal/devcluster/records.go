package devcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rosterdb/rosterdb/ring"
)

// Where several XMPP servers have accounts: on all of them together, as the server does by default.

// keptLocal is the end of a server's file by which it keeps its own. Clusters that older versions have made have it.
const keptLocal = "storage = \"local\"\n"

// storage says where a server has its accounts; the first one makes what all have together.
func (c *Cluster) storage(s *Server) string {
	switch {
	case c.local:
		return keptLocal
	case c.founds && s.ID == serverID(0):
		return "found = true\n"
	}
	return ""
}

// shared says whether the servers have their accounts together.
func (c *Cluster) shared() bool { return len(c.info.Servers) > 1 && !c.local }

// madeLocal says whether each server of a cluster that there is has its own accounts.
func (c *Cluster) madeLocal() (bool, error) {
	if len(c.info.Servers) < 2 {
		return false, nil
	}
	text, err := os.ReadFile(c.files.config(serverID(0)))
	if err != nil {
		return false, fmt.Errorf("read where the servers have their accounts: %w", err)
	}
	return strings.HasSuffix(string(text), keptLocal), nil
}

// WaitTogether waits until the accounts outlive any one of several XMPP servers, all of which have to run.
func (c *Cluster) WaitTogether(ctx context.Context) error {
	servers := c.Info().Servers
	return c.watched(ctx, func(ctx context.Context) error { return c.together(ctx, servers, nil) })
}

// together waits until each account has as many copies as there can be, so that any one server may be lost. One of them may be
// watched meanwhile: p may be nil.
func (c *Cluster) together(ctx context.Context, servers []Server, p *process) error {
	if c.local || len(servers) < 2 {
		return nil
	}
	want, missing := min(ring.DefaultReplicas, len(servers)), ""
	err := poll(ctx, pollEvery, func() (bool, error) {
		if p != nil && p.exited() {
			return false, p.diedError()
		}
		for i := range servers {
			s := &servers[i]
			m := metrics(ctx, s)
			copies, lacking, coming := m["xmppd_cluster_records_copies"], m["xmppd_cluster_records_lacking"], m["xmppd_cluster_records_coming"]
			if copies < float64(want) || lacking+coming > 0 {
				if ctx.Err() == nil { // else nobody was asked
					missing = fmt.Sprintf("%s says: %v copies, %v partitions lack one, %v are being made", s.ID, copies, lacking, coming)
				}
				return false, nil
			}
		}
		return true, nil
	})
	var died *diedError
	if err == nil || errors.As(err, &died) {
		return err
	}
	return fmt.Errorf("the accounts would not outlive any one server: %s: %w%s", missing, err, c.logTails())
}

// founded takes the right to found away from the first server, once all are there: if it loses its disk it joins the others.
func (c *Cluster) founded() error {
	if !c.shared() || !c.founds {
		return nil
	}
	c.founds = false
	first := &c.info.Servers[0]
	return c.writeConfig(first, c.files.config(first.ID))
}

// ErrNoMajority: too few XMPP servers run to have the accounts, so nobody can log in.
var ErrNoMajority = errors.New("nobody can log in")

// ErrSomeAccounts: two of the three servers that have some accounts may be down, so these can't log in.
var ErrSomeAccounts = errors.New("some accounts may not be able to log in")

// recordCopies is how many XMPP servers have an account's records, where there are as many.
const recordCopies = 3

// AllServed is Served, and ErrSomeAccounts where enough servers run and so many are down that they may be two of the three that
// have some accounts.
func (c *Cluster) AllServed() error {
	if err := c.Served(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	down := c.serversDown()
	if copies := min(recordCopies, len(c.info.Servers)); !c.shared() || len(down) <= (copies-1)/2 {
		return nil
	}
	return fmt.Errorf("%w, data nodes neither: %s are down, and each account is on %d servers; `ringctl dev restart --dir %s %s`",
		ErrSomeAccounts, strings.Join(down, ", "), recordCopies, c.files, down[0])
}

// serversDown are the XMPP servers that don't run; mu is held.
func (c *Cluster) serversDown() (down []string) {
	for _, s := range c.info.Servers {
		if !(foreign{s.PID, string(c.files)}).ours() {
			down = append(down, s.ID)
		}
	}
	return down
}

// majority is ErrNoMajority, with what to start, if fewer servers run than have to; mu is held.
func (c *Cluster) majority() error {
	down := c.serversDown()
	all := len(c.info.Servers)
	needed := all/2 + 1
	if !c.shared() {
		needed = 1
	}
	if all-len(down) >= needed {
		return nil
	}
	return fmt.Errorf("%w, data nodes neither, before more XMPP servers run (%d of %d; down: %s): `ringctl dev restart --dir %s %s` first",
		ErrNoMajority, needed, all, strings.Join(down, ", "), c.files, down[0])
}
