package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/ring"
)

func devAddCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "start one more data node, which waits to join",
		ArgsUsage: "NAME",
		Description: `Makes an account for it, starts it with an empty directory, and returns when it is
available. It holds nothing before it joins. One that does not come up is stopped again,
and not recorded. Without --dir it is the cluster of
ROSTERDB_DEV.

   ringctl dev add dn4
   ringctl join --yes --wait dn4
`,
		Flags: []cli.Flag{dirFlag(), devTimeoutFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "NAME"); err != nil {
				return err
			}
			dir, err := existingDirOf(c, env)
			if err != nil {
				return err
			}
			cluster, err := devcluster.Attach(dir)
			if err != nil {
				return err
			}
			defer cluster.Detach()
			if err := cluster.Served(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
			defer cancel()
			n, err := cluster.Add(ctx, c.Args().First())
			if err != nil {
				return err
			}
			info := cluster.Info()
			doc := ringOf(ctx, &info)
			_, err = fmt.Fprintf(env.Stdout, "%s runs (process %d) and waits to join: %s\n", n.ID, n.PID, admission(doc, n.JID))
			return err
		},
	}
}

// ringOf is the ring of a development cluster; nil when nobody tells.
func ringOf(ctx context.Context, info *devcluster.Info) (doc *ring.Document) {
	cfg, err := info.Config("operator")
	if err != nil {
		return nil
	}
	err = withOperator(ctx, connection{xmpp: cfg, timeout: 10 * time.Second}, func(ctx context.Context, op *admin.Client) (err error) {
		doc, err = op.Ring(ctx)
		return err
	})
	if err != nil {
		return nil
	}
	return doc
}

// admission is the command that takes a fresh node into a ring: one that is a
// member has lost its disk, and replaces itself.
func admission(doc *ring.Document, jid string) string {
	node := nodeName(jid)
	if doc != nil {
		if _, member := doc.ByJID(jid); member {
			return fmt.Sprintf("ringctl replace %[1]s %[1]s (it is a member, and its disk is empty)", node)
		}
	}
	return "ringctl join " + node
}

func devTimeoutFlag() cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "longest `TIME` until it is done"}
}

func devRemoveCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "stop a data node that has left, and remove its data",
		ArgsUsage: "NAME",
		Description: `Refused while the node is a member of the ring, unless --lose says that its disk is to
be lost: then ringctl replace makes its data anew on another one. The account stays:
dev add with the same name starts it with an empty disk. Without --dir it is the
cluster of ROSTERDB_DEV.

   ringctl leave --yes --wait dn2
   ringctl dev remove dn2

   ringctl dev remove --lose dn3 && ringctl dev add dn3
   ringctl replace --yes --wait dn3 dn3
`,
		Flags: []cli.Flag{
			dirFlag(), devTimeoutFlag(),
			&cli.BoolFlag{Name: "lose", Usage: "also if it is a member, whose copies are lost then"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "NAME"); err != nil {
				return err
			}
			dir, err := existingDirOf(c, env)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
			defer cancel()
			return devRemove(ctx, env, dir, c.Args().First(), c.Bool("lose"))
		},
	}
}

func devRemove(ctx context.Context, env Env, dir, id string, lose bool) error {
	cluster, err := devcluster.Attach(dir)
	if err != nil {
		return err
	}
	defer cluster.Detach()
	info := cluster.Info()
	if !lose {
		if err := cluster.Served(); err != nil {
			return fmt.Errorf("nobody tells whether %s is a member: %w; --lose removes it all the same", id, err)
		}
		if err := noMember(ctx, &info, id); err != nil {
			return err
		}
	}
	if err := cluster.Remove(ctx, id); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s is stopped, and its data removed\n", id)
	return err
}

// noMember makes sure that a data node is not needed any more.
func noMember(ctx context.Context, info *devcluster.Info, id string) error {
	cfg, err := info.Config("operator")
	if err != nil {
		return err
	}
	return withOperator(ctx, connection{xmpp: cfg, timeout: 10 * time.Second}, func(ctx context.Context, op *admin.Client) error {
		doc, err := op.Ring(ctx)
		if err != nil {
			return fmt.Errorf("is %s a member? %w; --lose removes it all the same", id, err)
		}
		for _, m := range doc.Members {
			if strings.HasPrefix(m.JID, id+"@") {
				return fmt.Errorf("%s is a member of the ring: `ringctl leave %[1]s` first, or lose its copies with --lose", id)
			}
		}
		return nil
	})
}
