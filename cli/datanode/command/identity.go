package command

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/replication"
)

func identityCommand() *cli.Command {
	return &cli.Command{
		Name:         "identity",
		Usage:        "print who the data directory of a stopped node belongs to",
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "data `DIRECTORY`"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT`: text or json"},
		},
		Action: func(c *cli.Context) error {
			if c.String("dir") == "" {
				return usage("--dir is missing; see datanode identity --help")
			}
			if o := c.String("output"); o != "text" && o != "json" {
				return usage(fmt.Sprintf("--output %q: use text or json", o))
			}
			return withCode(identity(c))
		},
	}
}

func identity(c *cli.Context) error {
	path := c.String("dir")
	// OpenDir would make one.
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w: %w", replication.ErrForeignDir, err)
	}
	dir, err := replication.OpenDir(path)
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // only releases the lock
	id := struct {
		Dir     string `json:"dir"`
		Store   string `json:"store"`
		Cluster string `json:"cluster,omitempty"`
		Member  uint64 `json:"member,omitempty"`
	}{dir.Path(), dir.Store(), dir.Cluster(), dir.Member()}
	if c.String("output") == "json" {
		return json.NewEncoder(c.App.Writer).Encode(id)
	}
	cluster, member := id.Cluster, fmt.Sprint(id.Member)
	if cluster == "" {
		cluster, member = "none", "none"
	}
	_, err = fmt.Fprintf(c.App.Writer, "directory  %s\nstore      %s\ncluster    %s\nmember     %s\n", id.Dir, id.Store, cluster, member)
	return err
}
