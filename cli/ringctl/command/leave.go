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

func leaveCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "leave",
		Aliases:   []string{"drain"},
		Usage:     "plan that data nodes hand over what they have and are members no longer",
		ArgsUsage: "NODE...",
		Description: `Once committed, the nodes' leaderships go to others within seconds, then their
replicas are made elsewhere, and at the end they are no members any more: stop them
then. They may be down: what they held is copied from the others. drain is the same
command. A node that only restarts needs neither: it hands over its leaderships when
it is stopped, and catches up when it is back.
` + planHelp + `
   ringctl leave dn2
   ringctl drain --yes --wait dn2
` + connectionHelp,
		Flags: planFlags(),
		Action: planAction(env, func(c *cli.Context) (wanter, error) {
			nodes, err := names(c, 1, "the names of data nodes")
			if err != nil {
				return nil, err
			}
			return func(_ context.Context, op *admin.Client, doc *ring.Document) (plan.Wish, error) {
				w := plan.Wish{Verb: "leave", Command: "ringctl leave " + strings.Join(nodes, " "), Members: slices.Clone(doc.Members)}
				jids, err := op.Resolve(doc, nodes)
				if err != nil {
					return w, err
				}
				for _, jid := range jids {
					if err := leave(w.Members, jid); err != nil {
						return w, err
					}
				}
				return w, nil
			}, nil
		}),
	}
}

// leave marks the member with the JID as leaving.
func leave(members []ring.Member, jid string) error {
	i := memberIndex(members, jid)
	if i < 0 {
		return fmt.Errorf("%s is no member of the ring; see `ringctl status`", nodeName(jid))
	}
	members[i].State = ring.Leaving
	return nil
}

// memberIndex finds the member with a JID that is not leaving; -1 if there is none.
func memberIndex(members []ring.Member, jid string) int {
	return slices.IndexFunc(members, func(m ring.Member) bool { return m.JID == jid && m.State != ring.Leaving })
}

func replaceCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "replace",
		Usage:     "plan that one data node takes the place of another, or of its own lost disk",
		ArgsUsage: "OLD NEW",
		Description: `Makes what OLD holds on NEW, which takes over its zone and weight, and ends OLD's
membership. OLD may be lost for good. Where the disk of a node is lost, start it with
an empty directory under its own account, and name it twice.
` + planHelp + `
   ringctl replace dn2 dn7
   ringctl replace dn2 dn2        # the same account, a new disk
` + connectionHelp,
		Flags: planFlags(),
		Action: planAction(env, func(c *cli.Context) (wanter, error) {
			nodes, err := names(c, 2, "OLD and NEW")
			if err != nil {
				return nil, err
			}
			if len(nodes) > 2 {
				return nil, usageErrorf("replace takes OLD and NEW; run it again for another pair")
			}
			return func(ctx context.Context, op *admin.Client, doc *ring.Document) (plan.Wish, error) {
				w := plan.Wish{Verb: "replace", Command: "ringctl replace " + strings.Join(nodes, " "), Members: slices.Clone(doc.Members)}
				err := replace(ctx, op, doc, &w, nodes[0], nodes[1])
				return w, err
			}, nil
		}),
	}
}

func replace(ctx context.Context, op *admin.Client, doc *ring.Document, w *plan.Wish, from, to string) error {
	old, err := op.Resolve(doc, []string{from})
	if err != nil {
		return err
	}
	successor, err := op.Resolve(doc, []string{to})
	if err != nil {
		return err
	}
	i := memberIndex(w.Members, old[0])
	if i < 0 {
		return fmt.Errorf("%s is no member of the ring; see `ringctl status`", nodeName(old[0]))
	}
	was := w.Members[i]
	w.Members[i].State = ring.Leaving
	asLeaving := *doc
	asLeaving.Members = w.Members
	m, err := newcomer(ctx, op, &asLeaving, successor[0])
	if err != nil {
		return err
	}
	if m.Zone == "" {
		m.Zone = was.Zone
	}
	m.Weight = was.Weight
	w.Members = doc.NewMember(w.Members, m)
	return nil
}
