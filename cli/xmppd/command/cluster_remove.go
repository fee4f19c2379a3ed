package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

// look is the time between two looks at what a server does that was asked for something.
const look = 300 * time.Millisecond

func clusterRemove() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "have a server, dead or alive, give up its share of what the cluster keeps; waits until others have it",
		ArgsUsage: "NAME",
		Description: `A server that is only stopped for a while needs none of this. One that was removed can come back with an empty
DIR/cluster; a removal can't be taken back. It is refused (exit code 1) when a part of the records would have no majority, since
other servers are missing: the message names those that have to be brought back, or removed, first. Ask a server that runs, with its --data. What is left to do is shown. The command can be ended
and given again: the servers go on by themselves, and ` + "`xmppd cluster status`" + ` shows how far they are.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of a server that runs", Value: xmppd.Defaults().Data},
			&cli.BoolFlag{Name: "no-wait", Usage: "return when the servers have agreed, before others have its share"},
			timeoutFlag(), outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage(fmt.Errorf("name one server, behind the flags; see `%s --help`", c.Command.HelpName))
			}
			name, data, timeout := c.Args().First(), c.String("data"), c.Duration("timeout")
			moved, err := false, askRemoval(c.Context, data, name, timeout)
			if err == nil {
				moved, err = awaitMoved(c.Context, data, name, timeout, !c.Bool("no-wait"), progressOf(c))
			}
			if err != nil {
				return err
			}
			if c.String("output") == "json" {
				return json.NewEncoder(c.App.Writer).Encode(map[string]any{"name": name, "moved": moved})
			}
			text := "%s leaves the cluster; the others take over what it had\n"
			if moved {
				text = "%s has left the cluster; the others have what it had; if it still runs, stop it: its clients go to the others\n"
			}
			_, err = fmt.Fprintf(c.App.Writer, text, name)
			return err
		},
	}
}

// progressOf is where a command tells how far it is: nowhere, if its output is for programs.
func progressOf(c *cli.Context) io.Writer {
	if c.String("output") == "json" {
		return io.Discard
	}
	return c.App.ErrWriter
}

// agreeTime is how long the servers may take to agree on a removal: it is what the asked one gives itself, and more.
const agreeTime = 30 * time.Second

// askRemoval asks for a removal if the asked server answers at all.
func askRemoval(ctx context.Context, data, name string, timeout time.Duration) error {
	if _, err := askStatus(ctx, data, timeout); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+agreeTime)
	defer cancel()
	return xmppd.RemoveFromCluster(ctx, data, name)
}

// askMoved is xmppd.RemovedFromCluster with a bound.
func askMoved(ctx context.Context, data, name string, timeout time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return xmppd.RemovedFromCluster(ctx, data, name)
}

// awaitMoved tells whether others have what a server had, and waits for it and tells what is left.
func awaitMoved(ctx context.Context, data, name string, timeout time.Duration, wait bool, progress io.Writer) (bool, error) {
	t := time.NewTicker(look)
	defer t.Stop()
	for told := ""; ; {
		moved, err := askMoved(ctx, data, name, timeout)
		if err != nil || moved || !wait {
			return moved, err
		}
		st, err := askStatus(ctx, data, timeout)
		if err != nil {
			return false, err
		}
		if now := leftOf(st, name); now != told {
			told = now
			_, _ = fmt.Fprintln(progress, told)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return false, errors.New("interrupted: the servers go on by themselves; `xmppd cluster status` shows how far they are")
		}
	}
}

// leftOf tells what is left until a server has left.
func leftOf(st *xmppd.ClusterStatus, name string) string {
	copies := 0
	var waits []string // for whom copies wait
	for _, s := range st.Servers {
		switch r := s.Records; {
		case r == nil:
		case s.Name == name:
			copies = r.Copies + r.Lost
		case !s.Connected && r.Coming > 0:
			waits = append(waits, s.Name)
		}
	}
	text := fmt.Sprintf("%s: it is a member for %d partitions still", name, copies)
	if r := st.Records; r != nil && r.Left > 0 {
		text = fmt.Sprintf("%s: %d of %d copies are made elsewhere, it is a member for %d partitions still", name, r.Moves-r.Left, r.Moves, copies)
	}
	if r := st.Records; r != nil && r.Lost > 0 {
		waits = unreached(st)
	}
	if len(waits) > 0 {
		text += "; waiting for " + strings.Join(waits, ", ") + ", which can't be reached"
	}
	return text
}
