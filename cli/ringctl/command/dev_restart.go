package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/urfave/cli/v2"
)

func devRestartCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "restart",
		Usage:     "start a process of the cluster again, stopping it first if it runs",
		ArgsUsage: "ID",
		Description: `ID is a process as dev status lists it: x1 is the first XMPP server, dn1 the first
data node. It comes back with the data on its disk. Returns when the cluster is
healthy again; when other processes are down, as soon as this one serves, with
exit code 4. So it is for a data node whose directory was emptied: it is a stranger to
the ring, and what is to be done is told. Several XMPP servers have their accounts
together: one serves when a majority of them runs, and the cluster is healthy when any
one of them may be lost.

   kill -9 $(jq .nodes[1].pid /tmp/ring/cluster.json)
   ringctl dev restart --dir /tmp/ring dn2`,
		Flags: []cli.Flag{
			dirFlag(),
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "longest `TIME` until the cluster is healthy"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "ID"); err != nil {
				return err
			}
			dir, err := existingDirOf(c, env)
			if err != nil {
				return err
			}
			return devRestart(c.Context, env, dir, c.Args().First(), c.Duration("timeout"))
		},
	}
}

// tellRestarted says how the cluster is with a process that runs again. Each partition may
// have a leader, and a data node be there, and hold nothing all the same.
func tellRestarted(ctx context.Context, env Env, id string, info *devcluster.Info) error {
	s, err := devLook(ctx, info)
	for err == nil && hidden(s, info) && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond) // the pause of a poll
		s, err = devLook(ctx, info)
	}
	if err != nil {
		return err
	}
	text, degraded := restarted(id, s)
	fmt.Fprintln(env.Stdout, text)
	if degraded {
		return errDegraded
	}
	return nil
}

// hidden says whether a member is down for this look that was there a moment ago, when the
// cluster was healthy: its presence is on its way.
func hidden(s *clusterStatus, info *devcluster.Info) bool {
	return slices.ContainsFunc(s.Nodes, func(row nodeRow) bool {
		return row.Presence == "down" && slices.ContainsFunc(info.Nodes, func(n devcluster.Node) bool { return n.JID == row.JID })
	})
}

func restarted(id string, s *clusterStatus) (text string, degraded bool) {
	if slices.ContainsFunc(s.Nodes, lostMember) {
		return id + " runs; " + s.verdict(), true
	}
	for _, row := range s.Nodes {
		switch {
		case row.Node != id || row.Member != 0 || s.Epoch == 0:
		case row.State == stateLeft:
			return id + " runs, and is no member of the ring any more: `ringctl dev remove " + id + "`", false
		default:
			return id + " runs, and waits to join: `ringctl join " + id + "`", false
		}
	}
	return id + " runs, and the cluster is healthy", false
}

func devRestart(ctx context.Context, env Env, dir, id string, timeout time.Duration) error {
	c, err := devcluster.Attach(dir)
	if err != nil {
		return err
	}
	defer c.Detach()
	down := c.NotRunning()
	if !devcluster.IsServer(id) && slices.Contains(c.IDs(), id) {
		if err := c.Served(); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch err := c.Restart(wait, id); {
	case errors.Is(err, devcluster.ErrNoMajority):
		fmt.Fprintf(env.Stdout, "%s runs, and waits: %v\n", id, err)
		return errDegraded
	case err != nil:
		return err
	}
	down = slices.DeleteFunc(down, func(other string) bool { return other == id })
	if len(down) == 0 {
		if err := c.WaitHealthy(wait); err != nil {
			return err
		}
		if err := c.WaitTogether(wait); err != nil {
			return err
		}
		info := c.Info()
		return tellRestarted(wait, env, id, &info)
	}
	if err := c.WaitAvailable(wait, id); err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "%s runs; the cluster is degraded: down: %s\n", id, strings.Join(down, ", "))
	return errDegraded
}
