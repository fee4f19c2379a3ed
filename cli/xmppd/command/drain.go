package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

func clusterDrain() *cli.Command {
	return &cli.Command{
		Name: "drain", ArgsUsage: "[NAME]",
		Usage: "send the clients of a server to the others, so that it can be stopped; without NAME the server of --data",
		Description: `Takes no more clients there, and moves the sessions a few hundred a second: clients that can resume go on at another server
without loss, the others are told to log in again. It waits until none is left; the server stays drained until it is
restarted, or --cancel. Its copies of the cluster's records stay with it and are there again when it is started; if the others
can't work without them meanwhile, that is told. ` + "`xmppd cluster remove`" + ` is for a server that is not to come back.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of a running server of the cluster", Value: xmppd.Defaults().Data},
			&cli.BoolFlag{Name: "cancel", Usage: "let the server take clients again"},
			timeoutFlag(), outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usage(fmt.Errorf("name one server, behind the flags; see `%s --help`", c.Command.HelpName))
			}
			timeout := c.Duration("timeout")
			name, err := askDrain(c.Context, timeout, c.String("data"), c.Args().First(), !c.Bool("cancel"))
			if err != nil {
				return err
			}
			want := "drained"
			if c.Bool("cancel") {
				want = "up"
			}
			st, s, err := awaitState(c.Context, timeout, c.String("data"), name, want, progressOf(c))
			if err != nil {
				return err
			}
			if c.String("output") == "json" {
				return json.NewEncoder(c.App.Writer).Encode(drained{s, needed(st, name)})
			}
			text := name + " takes clients again"
			if want == "drained" {
				text = name + " is drained: stop it when you like"
				if needed(st, name) {
					text = name + " is drained. " + whyNeeded(st, name)
				}
			}
			_, err = fmt.Fprintln(c.App.Writer, text)
			return err
		},
	}
}

// drained is a server that has been drained, or takes clients again.
type drained struct {
	xmppd.ClusterServer
	Needed bool `json:"needed"` // without it a part of the records has no majority
}

// whyNeeded says what it means to stop a server that the records need, and what can be done.
func whyNeeded(st *xmppd.ClusterStatus, name string) string {
	text := "While it is stopped a part of the records has no majority, and accounts in it can't log in: "
	if away := unreached(st); len(away) > 0 {
		return text + "start " + strings.Join(away, ", ") + " first"
	}
	return text + "be quick, or start a third server before; `xmppd cluster remove " + name + "` moves its share to the others, for good"
}

// patience is the number of looks after which a server that does not do what was asked for is asked again, and after which it
// is told that there is nowhere to go.
const patience = 10

// askDrain is xmppd.AskClusterDrain with a bound.
func askDrain(ctx context.Context, timeout time.Duration, data, name string, on bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return xmppd.AskClusterDrain(ctx, data, name, on)
}

// awaitState waits until a server is in a state, and tells how many sessions it has left.
func awaitState(ctx context.Context, timeout time.Duration, data, name, state string, progress io.Writer) (st *xmppd.ClusterStatus, s xmppd.ClusterServer, err error) {
	t := time.NewTicker(look)
	defer t.Stop()
	drains := state == "drained"
	for turn, told, alone := 0, -1, 0; ; turn++ {
		if st, err = askStatus(ctx, data, timeout); err != nil {
			return nil, s, err
		}
		i := slices.IndexFunc(st.Servers, func(x xmppd.ClusterServer) bool { return x.Name == name && x.State != absent })
		if i < 0 {
			return nil, s, fmt.Errorf("server %s is not there any more", name)
		}
		if s = st.Servers[i]; s.State == state {
			return st, s, nil
		}
		if drains && s.Sessions != told {
			told = s.Sessions
			_, _ = fmt.Fprintf(progress, "%s: %d sessions left\n", name, told)
		}
		if alone++; !drains || slices.ContainsFunc(st.Servers, func(x xmppd.ClusterServer) bool { return x.Name != name && x.State == "up" && x.Connected }) {
			alone = 0
		}
		if alone == patience {
			return nil, s, fmt.Errorf("%s has %d sessions left, and there is no other server up that they could go to: start one, and it goes on; --cancel takes it back", name, s.Sessions)
		}
		if turn%patience == patience-1 { // what was asked for may have been lost
			if _, err := askDrain(ctx, timeout, data, name, drains); err != nil {
				return nil, s, err
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, s, errors.New("interrupted: the server goes on draining; --cancel takes it back")
		}
	}
}
