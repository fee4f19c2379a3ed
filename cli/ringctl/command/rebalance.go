package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/plan"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

func rebalanceCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "rebalance",
		Usage: "plan that replicas and leaders are even again, by new zones and weights",
		Description: `Evens out what a canceled change has left, and what changes with the zone or the
weight of a node, or with the number of copies of each partition. Where all is even
already nothing is to do, and no plan is written.

The number of copies can be raised and never lowered: once it is 5, five nodes have to
stay. While such a change runs ringctl cancel takes the number back to what the fullest
partition has by then.
` + planHelp + `
   ringctl rebalance
   ringctl rebalance --weight dn4=2 --zone dn5=rack3
   ringctl rebalance --replicas 3            # of a store that began with fewer nodes
` + connectionHelp,
		Flags: append(planFlags(),
			&cli.StringSliceFlag{Name: "zone", Usage: "`NODE=ZONE`, a node's failure domain from now on; NODE= for none; may be repeated"},
			&cli.StringSliceFlag{Name: "weight", Usage: "`NODE=NUMBER`, a node's share from now on; may be repeated"},
			&cli.IntFlag{Name: "replicas", DefaultText: "as now", Usage: "`NUMBER` of copies of each partition, more than now, for ever"}),
		Action: planAction(env, func(c *cli.Context) (wanter, error) {
			if err := wantArgs(c); err != nil {
				return nil, err
			}
			edits, err := memberEdits(c.StringSlice("zone"), c.StringSlice("weight"))
			if err != nil {
				return nil, err
			}
			replicas := c.Int("replicas")
			return func(_ context.Context, op *admin.Client, doc *ring.Document) (plan.Wish, error) {
				w := plan.Wish{Verb: "rebalance", Command: "ringctl rebalance", Members: slices.Clone(doc.Members), Replicas: replicas}
				if replicas != 0 && replicas < doc.Replicas {
					return w, fmt.Errorf("there are %d replicas of each partition: the number can be raised, not lowered", doc.Replicas)
				}
				for _, e := range edits {
					w.Command += " " + e.flag
					jids, err := op.Resolve(doc, []string{e.node})
					if err != nil {
						return w, err
					}
					i := memberIndex(w.Members, jids[0])
					if i < 0 {
						return w, fmt.Errorf("%s is no member of the ring; see `ringctl status`", e.node)
					}
					e.edit(&w.Members[i])
				}
				if replicas != 0 {
					w.Command += fmt.Sprintf(" --replicas %d", replicas)
				}
				return w, nil
			}, nil
		}),
	}
}

// memberEdit changes what the ring says of a node.
type memberEdit struct {
	node, flag string
	edit       func(*ring.Member)
}

func memberEdits(zones, weights []string) ([]memberEdit, error) {
	var out []memberEdit
	for _, s := range zones {
		node, zone, ok := strings.Cut(s, "=")
		if !ok || node == "" {
			return nil, usageErrorf("--zone %q: write NODE=ZONE", s)
		}
		out = append(out, memberEdit{node, "--zone " + s, func(m *ring.Member) { m.Zone = zone }})
	}
	for _, s := range weights {
		node, text, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(text)
		if !ok || node == "" || err != nil || n < 1 {
			return nil, usageErrorf("--weight %q: write NODE=NUMBER, from 1 on", s)
		}
		out = append(out, memberEdit{node, "--weight " + s, func(m *ring.Member) { m.Weight = n }})
	}
	return out, nil
}
