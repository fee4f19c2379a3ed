package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/plan"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

func joinCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "join",
		Usage:     "plan that new data nodes become members and get their share of the data",
		ArgsUsage: "NODE...",
		Description: `Start the data nodes first, with accounts of their own and empty directories; they
show as joining in ` + "`ringctl status`" + `. NODE is the name of the account, or a JID. Nodes
that hold data, or belong to another cluster, are refused. Several at once move less
than one after the other.
` + planHelp + `
   ringctl join dn4 dn5
   ringctl join --zone rack2 --weight 2 dn6@example.org
   ringctl join --yes --wait dn4
` + connectionHelp,
		Flags: append(planFlags(),
			&cli.StringFlag{Name: "zone", DefaultText: "what the node says", Usage: "failure domain `ZONE` of these nodes"},
			&cli.IntFlag{Name: "weight", Value: 1, Usage: "share of the data, relative to other nodes; `NUMBER`"}),
		Action: planAction(env, func(c *cli.Context) (wanter, error) {
			nodes, err := names(c, 1, "the names of data nodes")
			if err != nil {
				return nil, err
			}
			zone, weight := c.String("zone"), c.Int("weight")
			if weight < 1 {
				return nil, usageErrorf("--weight %d: choose 1 or more", weight)
			}
			return func(ctx context.Context, op *admin.Client, doc *ring.Document) (plan.Wish, error) {
				w := plan.Wish{Verb: "join", Command: "ringctl join " + strings.Join(nodes, " "), Members: slices.Clone(doc.Members)}
				jids, err := op.Resolve(doc, nodes)
				if err != nil {
					return w, err
				}
				for _, jid := range jids {
					m, err := newcomer(ctx, op, doc, jid)
					if err != nil {
						return w, err
					}
					if zone != "" {
						m.Zone = zone
					}
					if weight != 1 {
						m.Weight = weight
					}
					w.Members = doc.NewMember(w.Members, m)
				}
				return w, nil
			}, nil
		}),
	}
}

// newcomer asks a data node who it is, and makes sure that it can join.
func newcomer(ctx context.Context, op *admin.Client, doc *ring.Document, jid string) (ring.Member, error) {
	id, err := op.Identity(ctx, jid)
	switch {
	case err != nil && offline(op.Nodes(), jid):
		return ring.Member{}, fmt.Errorf("%s is not connected: start it first", nodeName(jid))
	case err != nil:
		return ring.Member{}, fmt.Errorf("%s does not say who it is: is it started, and is this account its operator? %w", nodeName(jid), err)
	}
	m := ring.Member{JID: jid, Store: id.Store, Zone: id.Zone}
	for _, old := range doc.Members {
		switch {
		case old.Store == id.Store && old.JID == jid:
			return m, fmt.Errorf("%s is a member already, with id %d", nodeName(jid), old.ID)
		case old.Store == id.Store:
			return m, fmt.Errorf("%s has a copy of the data directory of %s: give it an empty one", nodeName(jid), nodeName(old.JID))
		case old.JID == jid && old.State != ring.Leaving:
			return m, fmt.Errorf("%s is a member with another disk; if that one is lost: `ringctl replace %[1]s %[1]s`", nodeName(jid))
		}
	}
	switch {
	case id.Cluster == doc.Cluster:
		return m, fmt.Errorf("%s was a member once and still has its data: start it with an empty data directory", nodeName(jid))
	case id.Cluster != "":
		return m, fmt.Errorf("%s belongs to cluster %s, this is %s: start it with an empty data directory", nodeName(jid), id.Cluster, doc.Cluster)
	}
	return m, nil
}

// offline says whether presence tells that a data node is not there. One of which there is
// no presence at all may only be hidden from this account.
func offline(views []admin.NodeView, jid string) bool {
	return slices.ContainsFunc(views, func(v admin.NodeView) bool { return v.JID == jid && !v.Online })
}
