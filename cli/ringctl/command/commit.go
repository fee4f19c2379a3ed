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
one data node. Committing a plan again that is running is no error.

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
				return err
			}
			return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
				return commitPlan(ctx, env, op, p, conn, out, o)
			})
		},
	}
}

func commitPlan(ctx context.Context, env Env, op *admin.Client, p *plan.Plan, conn connection, out format, o commitOptions) error {
	doc, err := propose(ctx, op, p, conn.timeout, o.rate)
	if err != nil {
		return err
	}
	if o.wait {
		return waitForEnd(ctx, env, op, conn, out, p.ID, doc.Epoch)
	}
	if out == formatJSON {
		return writeJSON(env.Stdout, map[string]any{"id": p.ID, "epoch": doc.Epoch})
	}
	_, err = fmt.Fprintf(env.Stdout, "change %s has begun, ring epoch %d; watch it with `ringctl progress --watch`\n", p.ID, doc.Epoch)
	return err
}

func propose(ctx context.Context, op *admin.Client, p *plan.Plan, timeout time.Duration, rate int64) (*ring.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	doc, err := op.Ring(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	if doc.Change != nil && doc.Change.ID == p.ID {
		return doc, nil
	}
	next, err := p.Document(doc, rate, time.Now().UnixMilli())
	if errors.Is(err, plan.ErrRingChanged) {
		return nil, &codeError{ExitRefused, err}
	}
	if err != nil {
		return nil, err
	}
	switch err := op.Propose(ctx, next); {
	case errors.Is(err, admin.ErrRingChanged):
		return nil, &codeError{ExitRefused, fmt.Errorf("%w; plan again with `%s`", err, p.Command)}
	case err != nil:
		return nil, fmt.Errorf("commit %s: %w", p.ID, err)
	}
	return next, nil
}
