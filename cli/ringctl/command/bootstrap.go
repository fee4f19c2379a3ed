package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/urfave/cli/v2"
)

type bootstrapOptions struct {
	conn                 connection
	output               format
	jids                 []string
	partitions, replicas int
}

func bootstrapCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "bootstrap",
		Usage:     "make one store out of data nodes that wait for it",
		ArgsUsage: "JID...",
		Description: `Run once for a new cluster, when its data nodes are logged in (they show as
joining). Names the nodes by JID; the resource may be left out. Running it again
completes a bootstrap that was interrupted, and changes nothing in a store that
was made. The number of partitions cannot be changed later.

   ringctl bootstrap --jid operator@example.org --password-file pw \
       dn1@example.org dn2@example.org dn3@example.org
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.IntFlag{Name: "partitions", Value: ring.DefaultPartitions, Usage: "`NUMBER` of partitions, for ever"},
			&cli.IntFlag{Name: "replicas", Value: ring.DefaultReplicas, Usage: "`NUMBER` of copies of each partition"},
		),
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usageErrorf("bootstrap wants the JIDs of the data nodes; see `ringctl bootstrap --help`")
			}
			o := bootstrapOptions{partitions: c.Int("partitions"), replicas: c.Int("replicas")}
			if o.partitions < 1 || o.replicas < 1 {
				return usageErrorf("--partitions %d, --replicas %d: choose 1 or more; the number of partitions is for ever", o.partitions, o.replicas)
			}
			for _, jid := range c.Args().Slice() {
				if strings.HasPrefix(jid, "-") {
					return wantArgs(c, "JID")
				}
				if !strings.Contains(jid, "@") {
					return usageErrorf("bootstrap %s: write the JID of the data node, as %s@example.org", jid, jid)
				}
				if !strings.Contains(jid, "/") {
					jid += "/store" // the resource that data nodes bind
				}
				o.jids = append(o.jids, jid)
			}
			return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
				o.conn, o.output = conn, out
				return bootstrap(ctx, env, op, o)
			})
		},
	}
}

func bootstrap(ctx context.Context, env Env, op *admin.Client, o bootstrapOptions) error {
	ctx, cancel := context.WithTimeout(ctx, o.conn.timeout)
	defer cancel()
	doc, err := op.Bootstrap(ctx, o.jids, admin.BootstrapOptions{Partitions: o.partitions, Replicas: o.replicas})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if o.output == formatJSON {
		return writeJSON(env.Stdout, doc)
	}
	_, err = fmt.Fprintf(env.Stdout, "cluster %s: %d data nodes, %d partitions, %d replicas, ring epoch %d\n",
		doc.Cluster, len(doc.Members), doc.Partitions, doc.Replicas, doc.Epoch)
	return err
}
