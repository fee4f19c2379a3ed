package command

import (
	"path/filepath"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/urfave/cli/v2"
)

func devCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "dev",
		Usage: "a development cluster of real processes on this machine",
		Description: `Starts and stops XMPP servers and data nodes as processes on loopback, with
accounts, passwords and a certificate of their own. Everything lies in one
directory; several clusters live side by side in several directories.

   ringctl dev up --dir /tmp/ring --nodes 5
   ringctl dev status --dir /tmp/ring
   ringctl dev stop --dir /tmp/ring --kill dn2
   ringctl dev restart --dir /tmp/ring dn2
   ringctl dev add --dir /tmp/ring dn6
   ringctl dev down --dir /tmp/ring`,
		Subcommands: []*cli.Command{
			devUpCommand(env),
			devDownCommand(env),
			devStatusCommand(env),
			devStopCommand(env),
			devRestartCommand(env),
			devAddCommand(env),
			devRemoveCommand(env),
		},
		Action: unknownCommand,
	}
}

// existingDirOf is dirOf for commands about a cluster that is there: it may also
// be the one of ROSTERDB_DEV.
func existingDirOf(c *cli.Context, env Env) (string, error) {
	if file := env.Getenv(devVar); c.String("dir") == "" && file != "" {
		if filepath.Base(file) != devcluster.InfoFile {
			return "", usageErrorf("ROSTERDB_DEV=%s is not in the directory of its cluster; name that with --dir DIR", file)
		}
		return filepath.Dir(file), nil
	}
	return dirOf(c)
}

func dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Usage: "directory `DIR` of the cluster: data, logs, passwords, process ids"}
}

// dirOf returns --dir; there is no default, so that nobody starts or removes
// another cluster than the one meant.
func dirOf(c *cli.Context) (string, error) {
	dir := c.String("dir")
	if dir == "" {
		return "", usageErrorf("dev %s wants --dir DIR, the directory of the cluster; for example --dir /tmp/ring", c.Command.Name)
	}
	return dir, nil
}
