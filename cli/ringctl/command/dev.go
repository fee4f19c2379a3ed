package command

import (
	"github.com/urfave/cli/v2"
)

func devCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "dev",
		Usage: "a development cluster of real processes on this machine",
		Description: `Starts and stops an XMPP server and data nodes as processes on loopback, with
accounts, passwords and a certificate of their own. Everything lies in one
directory; several clusters live side by side in several directories.

   ringctl dev up --dir /tmp/ring --nodes 5
   ringctl dev status --dir /tmp/ring
   ringctl dev restart --dir /tmp/ring dn2
   ringctl dev down --dir /tmp/ring`,
		Subcommands: []*cli.Command{
			devUpCommand(env),
			devDownCommand(env),
			devStatusCommand(env),
			devRestartCommand(env),
		},
		Action: unknownCommand,
	}
}

func dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Usage: "directory `DIR` of the cluster: data, logs, passwords, process ids"}
}

// dirOf returns --dir; there is no default, so that nobody stops or starts
// another cluster than the one meant.
func dirOf(c *cli.Context) (string, error) {
	dir := c.String("dir")
	if dir == "" {
		return "", usageErrorf("dev %s wants --dir DIR, the directory of the cluster; for example --dir /tmp/ring", c.Command.Name)
	}
	return dir, nil
}
