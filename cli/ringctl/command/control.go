package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

// edit is a change of the ring document that needs no plan.
type edit func(doc *ring.Document) (*ring.Document, error)

// spreadFor bounds the wait for the data nodes that are to know of an edit.
const spreadFor = 5 * time.Second

// editRing runs an edit, waits until the data nodes that are online know of it,
// and tells what came of it.
func editRing(c *cli.Context, env Env, e edit, done func(doc *ring.Document) string) error {
	return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
		ctx, cancel := context.WithTimeout(ctx, conn.timeout)
		defer cancel()
		doc, err := op.Edit(ctx, e)
		switch {
		case errors.Is(err, ring.ErrNoChange):
			return fmt.Errorf("%s: %w; see `ringctl progress`", shortName(c), err)
		case errors.Is(err, admin.ErrNoNode), errors.Is(err, admin.ErrNoRing):
			return unreachable(seesNothing(op, conn, err))
		case err != nil:
			return fmt.Errorf("%s: %w", shortName(c), err)
		}
		ctx, stop := context.WithTimeout(ctx, spreadFor)
		defer stop()
		for _, jid := range op.Spread(ctx, doc) {
			fmt.Fprintf(env.Stderr, "%s does not know of it yet; it will as soon as it hears of the others\n", nodeName(jid))
		}
		if out == formatJSON {
			answer := map[string]any{"epoch": doc.Epoch}
			if doc.Change != nil {
				answer["id"] = doc.Change.ID
			}
			return writeJSON(env.Stdout, answer)
		}
		_, err = fmt.Fprintf(env.Stdout, "%s; ring epoch %d\n", done(doc), doc.Epoch)
		return err
	})
}

// controlCommand is a command about the running change without arguments.
func controlCommand(env Env, name, usage, description string, e edit, done string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, Description: description + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			return editRing(c, env, e, func(doc *ring.Document) string { return fmt.Sprintf(done, doc.Change.ID) })
		},
	}
}

func pauseCommand(env Env) *cli.Command {
	return controlCommand(env, "pause", "let the running change rest", `What is complete stays; what has been begun is taken up again by resume. Pausing what
rests is no error.

   ringctl pause
   ringctl resume
`, func(doc *ring.Document) (*ring.Document, error) {
		if doc.Change != nil && doc.Change.Paused {
			return nil, nil
		}
		return doc.Pause()
	}, "change %s is paused")
}

func resumeCommand(env Env) *cli.Command {
	return controlCommand(env, "resume", "let a paused change go on", `Resuming what runs is no error.

   ringctl resume
`, func(doc *ring.Document) (*ring.Document, error) {
		if doc.Change != nil && !doc.Change.Paused {
			return nil, nil
		}
		return doc.Resume()
	}, "change %s goes on")
}

func cancelCommand(env Env) *cli.Command {
	return controlCommand(env, "cancel", "call the running change off", `Every partition stays with the replicas that it has, copies that are not complete are
dropped, and the change ends. Nodes that were to leave stay. What is uneven then is evened
out by ringctl rebalance. Where the change was to raise the number of copies of each
partition (rebalance --replicas), that number is what the fullest partition has by then:
the one from before if none has got a copy more. Weights and zones that the change has set
(rebalance --weight, --zone) stay, and the next plan goes by them: set others with that one.

Nodes that were to join stay members if they hold something. Those that hold nothing yet are
no members any more, and their disks are of no use: before such a node may join again, stop
it, empty its data directory, and start it; of a development cluster, with ringctl dev
remove and dev add. So it is for a node that replaces itself (replace dn3 dn3) and holds
nothing yet: the member is the old disk again, whose copies stay missing until the node is
replaced once more, with an empty directory.

   ringctl cancel
   ringctl progress --watch
   ringctl dev remove dn4 && ringctl dev add dn4    # if dn4 was to join and holds nothing
`, func(doc *ring.Document) (*ring.Document, error) {
		if doc.Change != nil && doc.Change.Canceled {
			return nil, nil
		}
		return doc.Cancel()
	}, "change %s is being called off; weights and zones that it has set stay; for nodes that were to join or to be replaced, see `ringctl cancel --help`")
}

func throttleCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "throttle",
		Usage:     "bound the bytes a second that each node sends for the running change",
		ArgsUsage: "RATE",
		Description: `RATE is a number of bytes with a unit (B, KiB, MiB, GiB), a second and a node; a bare
number below 65536 is refused, since a unit is missing there. "none" gives each node its
own default back.

   ringctl throttle 20MiB
   ringctl throttle none
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "RATE"); err != nil {
				return err
			}
			var rate int64
			if s := c.Args().First(); s != "none" {
				var err error
				if rate, err = rateOf(s); err != nil {
					return err
				}
			}
			return editRing(c, env, func(doc *ring.Document) (*ring.Document, error) {
				if doc.Change != nil && doc.Change.Rate == rate {
					return nil, nil
				}
				return doc.Throttle(rate)
			}, func(doc *ring.Document) string {
				if rate == 0 {
					return fmt.Sprintf("change %s runs at the nodes' own rate", doc.Change.ID)
				}
				return fmt.Sprintf("change %s sends at most %s/s from each node", doc.Change.ID, bytesText(uint64(rate)))
			})
		},
	}
}

// leastBare is the least rate that is taken without a unit: a change at less
// would not end in days, so the unit was forgotten.
const leastBare = 64 << 10

// rateOf reads a number of bytes a second: a whole number with B, KiB, MiB, GiB,
// or without if it is leastBare or more.
func rateOf(s string) (int64, error) {
	number, unit, bare := s, int64(1), true
	if cut, ok := strings.CutSuffix(s, "B"); ok {
		number, bare = cut, false
	}
	for suffix, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if cut, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = cut, n
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, usageErrorf("rate %q: write bytes a second as 500KiB, 20MiB or 1GiB", s)
	}
	if bare && n < leastBare {
		return 0, usageErrorf("rate %s: without a unit that is %s B a second; write %sKiB or %sMiB, or %sB if bytes are meant", s, s, s, s, s)
	}
	return n * unit, nil
}
