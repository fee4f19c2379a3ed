package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

// drainLook is how often the progress of a drain is looked at.
const drainLook = 300 * time.Millisecond

func clusterDrain() *cli.Command {
	return &cli.Command{
		Name: "drain", ArgsUsage: "[NAME]",
		Usage:       "send the clients of a server to the others, so that it can be stopped; without NAME the server of --data",
		Description: "Takes no more clients there, and moves the sessions a few hundred a second: clients that can resume go on at another server\nwithout loss, the others are told to log in again. It waits until none is left; the server stays drained until it is restarted, or --cancel.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of a running server of the cluster", Value: xmppd.Defaults().Data},
			&cli.BoolFlag{Name: "cancel", Usage: "let the server take clients again"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			name, err := xmppd.AskClusterDrain(c.Context, c.String("data"), c.Args().First(), !c.Bool("cancel"))
			if err != nil {
				return err
			}
			want := "drained"
			if c.Bool("cancel") {
				want = "up"
			}
			progress := c.App.ErrWriter
			if c.String("output") == "json" {
				progress = io.Discard
			}
			s, err := awaitState(c.Context, c.String("data"), name, want, progress)
			switch {
			case err != nil:
				return err
			case c.String("output") == "json":
				return json.NewEncoder(c.App.Writer).Encode(s)
			case want == "up":
				_, err = fmt.Fprintf(c.App.Writer, "%s takes clients again\n", name)
			default:
				_, err = fmt.Fprintf(c.App.Writer, "%s is drained: stop it when you like\n", name)
			}
			return err
		},
	}
}

// awaitState waits until a server is in a state, and tells how many sessions it has left.
func awaitState(ctx context.Context, data, name, state string, progress io.Writer) (s xmppd.ClusterServer, err error) {
	t := time.NewTicker(drainLook)
	defer t.Stop()
	for told := -1; ; {
		list, err := xmppd.AskClusterStatus(ctx, data)
		if err != nil {
			return s, err
		}
		i := slices.IndexFunc(list, func(x xmppd.ClusterServer) bool { return x.Name == name })
		if i < 0 {
			return s, fmt.Errorf("server %s is not there any more", name)
		}
		if s = list[i]; s.State == state {
			return s, nil
		}
		if state == "drained" && s.Sessions != told {
			told = s.Sessions
			_, _ = fmt.Fprintf(progress, "%s: %d sessions left\n", name, told)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return s, errors.New("interrupted: the server goes on draining; --cancel takes it back")
		}
	}
}
