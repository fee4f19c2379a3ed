package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/urfave/cli/v2"
)

func whereCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "where",
		Usage:     "where a root object lives: partition, leader, replicas",
		ArgsUsage: "ROOT",
		Description: `Computes the partition of a root object from the ring, and asks the data nodes
who leads it now. The root does not have to exist. Flags come before ROOT.

   ringctl where net/http
   ringctl where -o json cart/42 | jq -r .leader
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "ROOT"); err != nil {
				return err
			}
			if err := op.CheckRoot(c.Args().First()); err != nil {
				return usageErrorf("%w", err)
			}
			return asOperator(c, env, func(ctx context.Context, operator *admin.Client, conn connection, out format) error {
				ctx, cancel := context.WithTimeout(ctx, conn.timeout)
				defer cancel()
				if err := where(ctx, env, operator, c.Args().First(), out); err != nil {
					return seesNothing(operator, conn, err)
				}
				return nil
			})
		},
	}
}

// placement is the JSON of where; its fields are a contract with scripts.
type placement struct {
	Root      string   `json:"root"`
	Partition uint32   `json:"partition"`
	Leader    string   `json:"leader"` // full JID; empty while there is none
	Replicas  []string `json:"replicas"`
	Epoch     uint64   `json:"epoch"`
}

func where(ctx context.Context, env Env, operator *admin.Client, root string, out format) error {
	w, err := operator.Where(ctx, root)
	if err != nil {
		return unreachable(fmt.Errorf("ask where %q is: %w", root, err))
	}
	p := placement{Root: root, Partition: w.Partition, Leader: w.Leader, Replicas: w.Replicas, Epoch: w.Epoch}
	if out == formatJSON {
		return writeJSON(env.Stdout, p)
	}
	leader := p.Leader
	if leader == "" {
		leader = "none now"
	}
	_, err = fmt.Fprintf(env.Stdout, "root       %s\npartition  %d\nleader     %s\nreplicas   %s\nepoch      %d\n",
		p.Root, p.Partition, leader, strings.Join(p.Replicas, "\n           "), p.Epoch)
	return err
}

// nodeName is the short name of a data node: the account of its JID.
func nodeName(jid string) string {
	name, _, _ := strings.Cut(jid, "@")
	return name
}
