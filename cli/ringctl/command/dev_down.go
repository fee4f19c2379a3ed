package command

import (
	"fmt"
	"os"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/urfave/cli/v2"
)

func devDownCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "down",
		Usage: "stop the cluster of a directory",
		Description: `Stops the processes that dev up has started there: SIGTERM first, SIGKILL for
one that does not end in time. A recorded process id is believed only if that
process's arguments name the directory. Data stays, and dev up starts the
cluster again with it, unless --delete is given. Without --dir it is the cluster
of ROSTERDB_DEV; --delete wants --dir.

   ringctl dev down --dir /tmp/ring --delete`,
		Flags: []cli.Flag{
			dirFlag(),
			&cli.BoolFlag{Name: "delete", Usage: "remove the directory with all data afterwards"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			which := existingDirOf
			if c.Bool("delete") { // only what is named here and now
				which = func(c *cli.Context, _ Env) (string, error) { return dirOf(c) }
			}
			dir, err := which(c, env)
			if err != nil {
				return err
			}
			return devDown(env, dir, c.Bool("delete"))
		},
	}
}

func devDown(env Env, dir string, remove bool) error {
	did := "stopped"
	if !runs(dir) {
		did = "was not running"
	}
	if err := devcluster.Down(dir); err != nil {
		return err
	}
	if !remove {
		fmt.Fprintf(env.Stdout, "%s; its data is kept in %s\n", did, dir)
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the cluster's directory: %w", err)
	}
	fmt.Fprintf(env.Stdout, "%s, and removed %s\n", did, dir)
	return nil
}

// runs says whether anything of the cluster may run: also one that was not
// started to the end, and is described nowhere yet.
func runs(dir string) bool {
	c, err := devcluster.Attach(dir)
	if err != nil {
		return true
	}
	defer c.Detach()
	return len(c.NotRunning()) < len(c.IDs())
}
