package command

import (
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/urfave/cli/v2"
)

func devStopCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "stop",
		Usage:     "end one process of the cluster, to see what the others do",
		ArgsUsage: "ID",
		Description: `ID is a process as dev status lists it. It is asked to end (SIGTERM), and a data node hands
over what it leads; with --kill it gets SIGKILL, as a crash would have it. Its data
stays, and dev restart starts it again. One that does not run is no error.

   ringctl dev stop --kill --dir /tmp/ring dn2
   ringctl dev restart --dir /tmp/ring dn2`,
		Flags: []cli.Flag{
			dirFlag(),
			&cli.BoolFlag{Name: "kill", Usage: "SIGKILL"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "ID"); err != nil {
				return err
			}
			dir, err := existingDirOf(c, env)
			if err != nil {
				return err
			}
			cluster, err := devcluster.Attach(dir)
			if err != nil {
				return err
			}
			defer cluster.Detach()
			id := c.Args().First()
			if err := cluster.Stop(c.Context, id, c.Bool("kill")); err != nil {
				return err
			}
			if err := cluster.AllServed(); errors.Is(err, devcluster.ErrNoMajority) || errors.Is(err, devcluster.ErrSomeAccounts) {
				fmt.Fprintln(env.Stderr, "warning:", err)
			}
			_, err = fmt.Fprintf(env.Stdout, "%s does not run; it starts again with `ringctl dev restart --dir %s %s`\n", id, dir, id)
			return err
		},
	}
}
