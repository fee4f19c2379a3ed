package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
)

func progressCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "progress",
		Usage: "how far the running change has come, and what holds it up",
		Description: `Shows what is done of a change, how fast it goes and how long it will take, what each
node has still to get and to give up, and the reason where it stands still: it is paused,
a node is down, a disk is full, a partition has no majority, a copy does not catch up.

   gets, gives  replicas that the node has still to get, and to give up in this round
   catching up  replicas on it that are being made now
   behind       log entries that its replicas lack

Elections, and nodes that leaders have not heard from yet, are no reason before they have
lasted 15 seconds: so long it looks again.

Exit code 0: it moves, or no change is running; 4: it stands still. --watch looks every
second, and ends when the change does, telling how.

   ringctl progress
   ringctl progress --watch
   ringctl progress -o json | jq '.left_s, .stalls'
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			watchFlag("look again every second until the change is done, or ctrl-C")),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
				if c.Bool("watch") {
					return watchProgress(ctx, env, op, conn, out)
				}
				return showProgress(ctx, env, op, conn, out)
			})
		},
	}
}

func showProgress(ctx context.Context, env Env, op *admin.Client, conn connection, out format) error {
	var looks pace
	p, err := lookAtProgress(ctx, op, conn, &looks)
	for err == nil && len(p.Stalls) == 0 && len(p.Passing) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
		p, err = lookAtProgress(ctx, op, conn, &looks)
	}
	if err != nil {
		return err
	}
	if err := printProgress(env, p, out); err != nil {
		return err
	}
	if p.Stalled() {
		return errDegraded
	}
	return nil
}

// lookAtProgress takes the rate, and what has lasted, from the looks before.
func lookAtProgress(ctx context.Context, op *admin.Client, conn connection, before *pace) (*admin.Progress, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	doc, err := op.Ring(ctx)
	if err != nil {
		return nil, unreachable(seesNothing(op, conn, err))
	}
	p, err := op.Progress(ctx, op.ReplicaBytes(ctx, doc))
	if err != nil {
		return nil, unreachable(err)
	}
	before.rate(p, time.Now())
	before.settle(p, time.Now())
	return p, nil
}

// pace remembers what was done at earlier looks, so that the rate is that of the
// last half minute and not that since the change began.
type pace struct {
	at      []time.Time
	done    []uint64
	passing time.Time // since when each look had something passing
}

// passFor is how long elections, and nodes that leaders have not heard from yet,
// may last before they stall a change.
const passFor = 15 * time.Second

func (l *pace) settle(p *admin.Progress, now time.Time) {
	switch {
	case len(p.Passing) == 0:
		l.passing = time.Time{}
	case l.passing.IsZero():
		l.passing = now
	case now.Sub(l.passing) >= passFor:
		p.Settle()
	}
}

const rateOver = 30 * time.Second

func (l *pace) rate(p *admin.Progress, now time.Time) {
	l.at, l.done = append(l.at, now), append(l.done, p.BytesDone)
	for len(l.at) > 2 && now.Sub(l.at[0]) > rateOver {
		l.at, l.done = l.at[1:], l.done[1:]
	}
	if age := now.Sub(l.at[0]).Seconds(); age > 2 && p.BytesDone >= l.done[0] {
		p.SetRate(float64(p.BytesDone-l.done[0]) / age)
	}
}

// watchProgress goes on until no change is running.
func watchProgress(ctx context.Context, env Env, op *admin.Client, conn connection, out format) error {
	var looks pace
	var was endOfChange
	for {
		p, err := lookAtProgress(ctx, op, conn, &looks)
		switch {
		case ctx.Err() != nil:
			return nil // ctrl-C is how a watch ends
		case errors.Is(err, admin.ErrNotOperator):
			return err
		}
		if env.Terminal && out == formatTable {
			fmt.Fprint(env.Stdout, "\x1b[H\x1b[2J") // home, clear
		}
		if err != nil { // the client goes on trying to log in
			fmt.Fprintf(env.Stderr, "%s; trying again\n", oneLine(err))
		} else if err := printProgress(env, was.note(p), out); err != nil {
			return err
		} else if !p.Running {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// endOfChange remembers the change that was running, to tell how it ended.
type endOfChange struct {
	id       string
	canceled bool
}

// note fills in what has ended where no change is running any more.
func (e *endOfChange) note(p *admin.Progress) *admin.Progress {
	if p.Running {
		e.id, e.canceled = p.ID, p.Canceled
	} else {
		p.ID, p.Canceled = e.id, e.canceled
	}
	return p
}

// waitForEnd returns when the change with the id, which was begun with the epoch,
// is over. What stalls it is told once each, on the error output.
func waitForEnd(ctx context.Context, env Env, op *admin.Client, conn connection, out format, id string, epoch uint64) error {
	var looks pace
	told, last := make(map[string]bool), ""
	for {
		p, err := lookAtProgress(ctx, op, conn, &looks)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintf(env.Stderr, "the change goes on without this program: `ringctl progress`\n")
			return ctx.Err()
		case errors.Is(err, admin.ErrNotOperator):
			return err
		case err != nil:
			tellOnce(env, told, oneLine(err))
		case p.Running && p.ID == id:
			if line := fmt.Sprintf("%d of %d replicas", p.Done, p.Moves); line != last {
				fmt.Fprintln(env.Stderr, line)
				last = line
			}
			for _, s := range p.Stalls {
				tellOnce(env, told, s)
			}
		case p.Epoch < epoch: // who was asked does not know of it yet
		default:
			if out == formatJSON {
				return writeJSON(env.Stdout, map[string]any{"id": id, "done": true, "epoch": p.Epoch})
			}
			_, err := fmt.Fprintf(env.Stdout, "change %s is done, ring epoch %d\n", id, p.Epoch)
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchEvery):
		}
	}
}

func tellOnce(env Env, told map[string]bool, text string) {
	if !told[text] {
		told[text] = true
		fmt.Fprintln(env.Stderr, text)
	}
}

func printProgress(env Env, p *admin.Progress, out format) error {
	if out == formatJSON {
		return writeJSON(env.Stdout, p)
	}
	if !p.Running {
		switch {
		case p.Canceled:
			fmt.Fprintf(env.Stdout, "change %s was called off; ", p.ID)
		case p.ID != "":
			fmt.Fprintf(env.Stdout, "change %s is done; ", p.ID)
		}
		fmt.Fprintf(env.Stdout, "no change is running; ring epoch %d\n", p.Epoch)
		if p.Uneven > 0 {
			fmt.Fprintf(env.Stdout, "uneven: `ringctl rebalance` would move %s\n", plural(p.Uneven, "replica"))
		}
		return nil
	}
	state := ""
	switch {
	case p.Paused:
		state = ", paused"
	case p.Canceled:
		state = ", being called off"
	}
	fmt.Fprintf(env.Stdout, "change %s%s, ring epoch %d\n", p.ID, state, p.Epoch)
	fmt.Fprintf(env.Stdout, "%d of %d replicas", p.Done, p.Moves)
	if p.Bytes > 0 {
		fmt.Fprintf(env.Stdout, ", about %s of %s", bytesText(p.BytesDone), bytesText(p.Bytes))
		if !p.Stalled() {
			fmt.Fprintf(env.Stdout, ", %s/s", bytesText(uint64(p.Rate)))
		}
	}
	if p.LeftS > 0 {
		fmt.Fprintf(env.Stdout, ", %v left", time.Duration(p.LeftS*float64(time.Second)).Round(time.Second))
	}
	if p.Throttle > 0 {
		fmt.Fprintf(env.Stdout, "; at most %s/s a node", bytesText(uint64(p.Throttle)))
	}
	if p.RoundsLeft > 0 {
		fmt.Fprintf(env.Stdout, "; %s to come", plural(p.RoundsLeft, "round"))
	}
	fmt.Fprint(env.Stdout, "\n\n")
	t := newTable(env.Stdout, "node", "member", "state", "presence", "holds", "gets", "gives", "catching up", "behind")
	for _, n := range p.Nodes {
		presence := "online"
		if !n.Online {
			presence = "down"
		}
		t.AppendRow([]any{n.Node, n.Member, n.State, presence, n.Holds, n.Gets, n.GivesUp, n.Catches, n.Behind})
	}
	rightAlign(t, 2, 5, 6, 7, 8, 9)
	t.Render()
	for _, s := range p.Stalls {
		fmt.Fprintln(env.Stdout, "STALLED:", s)
	}
	for _, s := range p.Passing {
		fmt.Fprintln(env.Stdout, "waiting:", s)
	}
	return nil
}
