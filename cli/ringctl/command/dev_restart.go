package command

import (
	"context"
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
exit code 4.

   kill -9 $(jq .nodes[1].pid /tmp/ring/cluster.json)
   ringctl dev restart --dir /tmp/ring dn2`,
		Flags: []cli.Flag{
			dirFlag(),
			&cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "longest `TIME` until the cluster is healthy"},
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
	if err := c.Restart(ctx, id); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	down = slices.DeleteFunc(down, func(other string) bool { return other == id })
	if len(down) == 0 {
		if err := c.WaitHealthy(wait); err != nil {
			return err
		}
		fmt.Fprintln(env.Stdout, id, "runs, and the cluster is healthy")
		return nil
	}
	if err := c.WaitAvailable(wait, id); err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "%s runs; the cluster is degraded: down: %s\n", id, strings.Join(down, ", "))
	return errDegraded
}
