package command

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

func clusterCommand() *cli.Command {
	return &cli.Command{
		Name: "cluster", Usage: "look at the servers that serve the domain together", Action: unknownCommand,
		Subcommands: []*cli.Command{clusterStatus(), clusterRemove(), clusterDrain()},
	}
}

func clusterStatus() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "list the servers that the running server of --data knows, and what waits between them",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of the server", Value: xmppd.Defaults().Data},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			servers, err := xmppd.AskClusterStatus(c.Context, c.String("data"))
			if err != nil {
				return err
			}
			if c.String("output") == "json" {
				return json.NewEncoder(c.App.Writer).Encode(servers)
			}
			w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "NAME\tADDRESS\tZONE\tSTATE\tLINK\tSESSIONS\tQUEUE\tRESETS")
			for _, s := range servers {
				link := "cut off"
				switch {
				case s.Self:
					link = "this one"
				case s.Connected:
					link = "connected"
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", s.Name, s.Address, s.Zone, s.State, link, s.Sessions, s.Queue, s.Resets)
			}
			return w.Flush()
		},
	}
}
