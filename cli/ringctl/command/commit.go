package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/plan"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

type commitOptions struct {
	rate int64 // bytes a second; 0: the nodes' default
	wait bool
}

func commitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "rate", DefaultText: "the nodes' own", Usage: "`RATE` that each node may send at for the change, as 20MiB (a second)"},
		&cli.BoolFlag{Name: "wait", Usage: "return when the change is done; ctrl-C only ends the waiting"},
	}
}

func commitOptionsOf(c *cli.Context) (o commitOptions, err error) {
	o.wait = c.Bool("wait")
	if s := c.String("rate"); s != "" {
		o.rate, err = rateOf(s)
	}
	return o, err
}

func commitCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "commit",
		Usage:     "start a plan that join, leave, replace or rebalance has written",
		ArgsUsage: "PLAN",
		Description: `Starts the change of a plan file. It is refused, with exit code 5, when the ring is
not the one that the plan was made from any more: plan again then. The change runs in
the cluster, not in ringctl: it goes on whatever happens to this program, and to any
one data node. Committing a plan again that is running is no error: it says that it runs,
and whether it is paused. Its rate is not changed by that: ringctl throttle does it.
One that is being called off does not begin again: that is refused, with exit code 1.

   ringctl commit join-e1-3f09ab.plan.json
   ringctl commit --wait --rate 20MiB join-e1-3f09ab.plan.json
   ringctl progress --watch
` + connectionHelp,
		Flags: append(append(connectionFlags(), outputFlag()), commitFlags()...),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "PLAN"); err != nil {
				return err
			}
			o, err := commitOptionsOf(c)
			if err != nil {
				return err
			}
			p, err := plan.Load(c.Args().First())
			if err != nil {
				return noFile(err)
			}
			return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
				return commitPlan(ctx, env, op, p, conn, out, o)
			})
		},
	}
}

func commitPlan(ctx context.Context, env Env, op *admin.Client, p *plan.Plan, conn connection, out format, o commitOptions) error {
	doc, runs, err := propose(ctx, op, p, conn.timeout, o.rate)
	if err != nil {
		return err
	}
	if o.wait {
		if runs {
			fmt.Fprintln(env.Stderr, begunText(doc, true))
		}
		return waitForEnd(ctx, env, op, conn, out, p.ID, doc.Epoch)
	}
	if out == formatJSON {
		answer := map[string]any{"id": p.ID, "epoch": doc.Epoch}
		if runs {
			answer["running"], answer["paused"] = true, doc.Change.Paused
		}
		return writeJSON(env.Stdout, answer)
	}
	_, err = fmt.Fprintln(env.Stdout, begunText(doc, runs))
	return err
}

// begunText says what came of a commit; runs: the change was running before.
func begunText(doc *ring.Document, runs bool) string {
	ch := doc.Change
	switch {
	case !runs:
		return fmt.Sprintf("change %s has begun, ring epoch %d; watch it with `ringctl progress --watch`", ch.ID, doc.Epoch)
	case ch.Canceled:
		return fmt.Sprintf("change %s is being called off, ring epoch %d; watch it with `ringctl progress --watch`", ch.ID, doc.Epoch)
	case ch.Paused:
		return fmt.Sprintf("change %s is running already, ring epoch %d, and is paused; `ringctl resume` lets it go on", ch.ID, doc.Epoch)
	}
	return fmt.Sprintf("change %s is running already, ring epoch %d; watch it with `ringctl progress --watch`", ch.ID, doc.Epoch)
}

// runsAlready tells whether the change with the id is the one that is running. A
// rate that is not its own is refused, since a commit does not change it.
func runsAlready(doc *ring.Document, id string, rate int64) (bool, error) {
	if doc.Change == nil || doc.Change.ID != id {
		return false, nil
	}
	if doc.Change.Canceled {
		return true, fmt.Errorf("%s, and plan again when that is done", begunText(doc, true))
	}
	if rate != 0 && rate != doc.Change.Rate {
		return true, fmt.Errorf("%s; --rate is not taken: `ringctl throttle` changes the rate", begunText(doc, true))
	}
	return true, nil
}

// propose starts the plan's change, unless it runs already.
func propose(ctx context.Context, op *admin.Client, p *plan.Plan, timeout time.Duration, rate int64) (next *ring.Document, runs bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	doc, err := op.Ring(ctx)
	if err != nil {
		return nil, false, unreachable(err)
	}
	if runs, err := runsAlready(doc, p.ID, rate); runs || err != nil {
		return doc, runs, err
	}
	next, err = p.Document(doc, rate, time.Now().UnixMilli())
	if errors.Is(err, plan.ErrRingChanged) {
		return nil, false, &codeError{ExitRefused, err}
	}
	if err != nil {
		return nil, false, err
	}
	switch err := op.Propose(ctx, next); {
	case errors.Is(err, admin.ErrRingChanged):
		return nil, false, &codeError{ExitRefused, fmt.Errorf("%w; plan again with `%s`", err, p.Command)}
	case err != nil:
		return nil, false, fmt.Errorf("commit %s: %w", p.ID, err)
	}
	return next, false, nil
}
