package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

// ringGroup is how the ring's own group is named where partitions are.
const ringGroup = "ring"

func scrubCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "scrub",
		Usage:     "compare the replicas of partitions, and mend those that are damaged",
		ArgsUsage: "[PARTITION...]",
		Description: `Lets the replicas of each partition read all that they hold at one position of the log,
check the checksums and compare digests, four partitions at a time. A replica with a
damaged record, or with another digest than the majority, gets the state of a healthy one
and is compared again. Data nodes do the same by themselves, each partition once in
--scrub-every. Everything is served meanwhile.

PARTITION is a number, as ringctl where tells it, or "ring" for the ring's own group;
none: all. A node that is down or a stranger is named at once with what to do; what can
be compared without it is. How far it is goes to standard error every 2 s.
It returns when all is compared. Ctrl-C ends the looking on; what has begun
goes on.

   mismatches  replicas that were not what the majority has
   damaged     replicas found damaged, for that reason or by their checksums
   repaired    of these, that have the state of another replica now

Exit code 0: all replicas are equal now; 4: some could not be compared or mended, the
output says which and why.

   ringctl scrub
   ringctl scrub --watch 17 42
   ringctl scrub -o json | jq '.nodes[] | select(.repaired > 0)'
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			watchFlag("show what was found so far, each time that it changes")),
		Action: func(c *cli.Context) error {
			groups, err := groupsOf(c.Args().Slice())
			if err != nil {
				return err
			}
			out, err := outputOf(c)
			if err != nil {
				return err
			}
			conn, err := connectionOf(c, env)
			if err != nil {
				return err
			}
			return withOperator(c.Context, conn, func(ctx context.Context, op *admin.Client) error {
				return runScrub(ctx, env, op, conn, groups, c.Bool("watch"), out)
			})
		},
	}
}

// groupsOf reads partitions as typed.
func groupsOf(args []string) ([]uint32, error) {
	var groups []uint32
	for _, a := range args {
		if a == ringGroup {
			groups = append(groups, ring.MetaPartition)
			continue
		}
		g, err := strconv.ParseUint(a, 10, 16)
		if err != nil {
			if len(a) > 1 && a[0] == '-' {
				return nil, usageErrorf("scrub: flag %s comes after an argument; put flags first", a)
			}
			return nil, usageErrorf("%q is no partition; name them by number, as `ringctl where` tells, or %q", a, ringGroup)
		}
		groups = append(groups, uint32(g))
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

func runScrub(ctx context.Context, env Env, op *admin.Client, conn connection, groups []uint32, watch bool, out format) error {
	look, cancel := context.WithTimeout(ctx, conn.timeout)
	doc, err := op.Ring(look)
	cancel()
	if err != nil {
		return unreachable(seesNothing(op, conn, err))
	}
	if len(groups) == 0 {
		for p := range doc.Partitions {
			groups = append(groups, uint32(p))
		}
		groups = append(groups, ring.MetaPartition)
	}
	for _, g := range groups {
		if doc.Group(g) == nil {
			return usageErrorf("there is no partition %d; the ring has 0 to %d", g, doc.Partitions-1)
		}
	}
	var last *admin.Scrub
	tell := scrubTelling{env: env, watch: watch, out: out, told: make(map[string]bool), next: time.Now().Add(scrubSilence)}
	err = op.Scrub(ctx, doc, groups, func(s *admin.Scrub) {
		last = s
		tell.look(s, time.Now())
	})
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, admin.ErrNotOperator):
		return err
	case err != nil:
		return unreachable(err)
	}
	if out == formatJSON {
		err = writeJSON(env.Stdout, last)
	} else {
		if watch {
			clearScreen(env)
		}
		printScrub(env, last)
	}
	if err == nil && !last.Sound() {
		return errDegraded
	}
	return err
}

// scrubSilence is how long a scrub runs without a word of how far it is.
const scrubSilence = 2 * time.Second

// scrubTelling is what was told of a scrub so far.
type scrubTelling struct {
	env   Env
	watch bool
	out   format
	told  map[string]bool
	next  time.Time // of a line of progress
	shown string
}

// look tells what is new: who is missing at once, and how far it is.
func (t *scrubTelling) look(s *admin.Scrub, now time.Time) {
	for _, m := range s.Missing {
		tellOnce(t.env, t.told, fmt.Sprintf("%d of %d partitions cannot be compared on %s: %s", m.Partitions, s.Partitions, m.Node, m.Why))
	}
	state := fmt.Sprintf("%+v", *s)
	switch {
	case s.Done:
	case !t.watch:
		if !now.Before(t.next) {
			t.next = now.Add(scrubSilence)
			through := s.Compared + len(s.Undecided) + len(s.Unfinished)
			fmt.Fprintf(t.env.Stderr, "%d of %d partitions, %d unfinished\n", through, s.Partitions, len(s.Undecided)+len(s.Unfinished))
		}
	case state == t.shown:
	case t.out == formatJSON:
		_ = writeJSON(t.env.Stdout, s) // the last one is told with its error
	default:
		clearScreen(t.env)
		printScrub(t.env, s)
	}
	t.shown = state
}

func clearScreen(env Env) {
	if env.Terminal {
		fmt.Fprint(env.Stdout, "\x1b[H\x1b[2J") // home, clear
	}
}

func printScrub(env Env, s *admin.Scrub) {
	t := newTable(env.Stdout, "node", "mismatches", "damaged", "repaired", "now")
	for _, n := range s.Nodes {
		now := ""
		if n.Reading > 0 {
			now = fmt.Sprintf("reads %d", n.Reading)
		}
		if n.Mending > 0 {
			now = fmt.Sprintf("mends %d", n.Mending)
		}
		t.AppendRow([]any{n.Node, n.Mismatches, n.Damaged, n.Repaired, now})
	}
	t.Render()
	fmt.Fprintf(env.Stdout, "%d of %d partitions are equal on all replicas\n", s.Compared, s.Partitions)
	for _, g := range s.Undecided {
		fmt.Fprintf(env.Stdout, "partition %s: the replicas differ and none has what a majority has; nothing was changed: see \"Damage\" in docs/operations.md\n", groupText(g))
	}
	printUnfinished(env, s.Unfinished)
}

// printUnfinished has one line for all partitions with one reason.
func printUnfinished(env Env, rest []admin.Unfinished) {
	count := make(map[string]int)
	for _, u := range rest {
		count[u.Why]++
	}
	for _, u := range rest {
		switch n := count[u.Why]; n {
		case 0: // told
		case 1:
			fmt.Fprintf(env.Stdout, "partition %s: %s\n", groupText(u.Partition), u.Why)
		default:
			fmt.Fprintf(env.Stdout, "%d partitions: %s\n", n, u.Why)
		}
		count[u.Why] = 0
	}
}

func groupText(g uint32) string {
	if g == ring.MetaPartition {
		return ringGroup
	}
	return strconv.FormatUint(uint64(g), 10)
}
