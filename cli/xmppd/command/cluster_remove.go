package command

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

func clusterRemove() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "have a server, dead or alive, give up its share of what the cluster keeps; waits until others have it",
		ArgsUsage: "NAME",
		Description: `A server that is only stopped for a while needs none of this. One that was removed can come back with an empty
DIR/cluster. Ask a server that runs, with its --data. It can be asked again, and ended: the servers go on by themselves.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of a server that runs", Value: xmppd.Defaults().Data},
			&cli.BoolFlag{Name: "no-wait", Usage: "return when the servers have agreed, before others have its share"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage(fmt.Errorf("name one server, behind the flags; see `%s --help`", c.Command.HelpName))
			}
			name := c.Args().First()
			moved, err := xmppd.RemoveFromCluster(c.Context, c.String("data"), name, !c.Bool("no-wait"))
			if err != nil {
				return err
			}
			if c.String("output") == "json" {
				return json.NewEncoder(c.App.Writer).Encode(map[string]any{"name": name, "moved": moved})
			}
			text := "%s leaves the cluster; the others take over what it had\n"
			if moved {
				text = "%s has left the cluster; the others have what it had\n"
			}
			_, err = fmt.Fprintf(c.App.Writer, text, name)
			return err
		},
	}
}
