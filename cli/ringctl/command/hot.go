package command

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
)

// maxHot is how many objects a data node lists at most.
const maxHot = 128

func hotCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "hot",
		Usage: "the objects that are read and written most",
		Description: `Adds up what the data nodes have counted lately (they forget half of it every ten
seconds): operations a second on each object, estimated from one in sixteen. What is
below "at least" is sure, the rest may belong to other objects.

A write counts once for each object that it puts, deletes or adds to, and when a node takes it
in: one that then loses a condition, as attempts of a transaction do, counts as well. What a
batch only checks counts for nothing.

Reads of a hot object cost less with a bounded age, which any replica serves, and
counters that many change are merged by the client.

   ringctl hot
   ringctl hot --limit 3 -o json | jq -r '.reads[].root'
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Value: 10, Usage: "list at most `N` objects of each kind, up to 128"}),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			limit := c.Int("limit")
			if limit < 1 || limit > maxHot {
				return usageErrorf("--limit %d: list 1 to %d objects", limit, maxHot)
			}
			return asOperator(c, env, func(ctx context.Context, operator *admin.Client, conn connection, out format) error {
				ctx, cancel := context.WithTimeout(ctx, conn.timeout)
				defer cancel()
				return showHot(ctx, env, operator, limit, out)
			})
		},
	}
}

func showHot(ctx context.Context, env Env, operator *admin.Client, limit int, out format) error {
	hot, failed := operator.Hot(ctx, limit)
	if failed != nil && len(hot.Reads)+len(hot.Writes) == 0 {
		return unreachable(fmt.Errorf("ask for hot objects: %w", failed))
	}
	if out == formatJSON {
		if err := writeJSON(env.Stdout, hot); err != nil {
			return err
		}
	} else {
		t := newTable(env.Stdout, "", "per second", "at least", "root", "path")
		for _, k := range hot.Reads {
			t.AppendRow([]any{"read", rateText(k.Rate), rateText(k.Least), k.Root, orDash(k.Path)})
		}
		for _, k := range hot.Writes {
			t.AppendRow([]any{"written", rateText(k.Rate), rateText(k.Least), k.Root, orDash(k.Path)})
		}
		t.Render()
	}
	if failed != nil {
		return unreachable(fmt.Errorf("some data nodes did not answer, their share is missing: %w", failed))
	}
	return nil
}

func rateText(r float64) string { return strconv.FormatFloat(r, 'f', 0, 64) }
