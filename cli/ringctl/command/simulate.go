package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/simulate"
	"github.com/rosterdb/rosterdb/ring"
)

func simulateCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "simulate",
		Usage:     "try ways of spreading one's own keys over nodes",
		ArgsUsage: "KEYFILE",
		Description: `KEYFILE has names of root objects, one a line. Places them by several strategies on a
number of nodes after another, and shows how even each is and how much moves from one
number to the next. No cluster is touched.

   rosterdb    what RosterDB does: partitions that are first placed by a consistent hash, and
               then moved as little as possible
   consistent  github.com/buraksezer/consistent alone, with its usual settings
   rendezvous  the nodes with the highest hash of node and key
   modulo      the hash modulo the number of nodes

   skew        copies on the fullest node, over the mean; first: of first copies, which take the writes
   moved       part of the copies that is elsewhere than before; needed: that has to be

   ringctl simulate --nodes 3,5,4 keys.txt
   ringctl simulate --strategies rosterdb,modulo --partitions 64 -o json keys.txt`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.StringFlag{Name: "nodes", Value: "3,5,4", Usage: "`NUMBERS` of nodes, one after another"},
			&cli.StringFlag{Name: "strategies", Value: strings.Join(simulate.Strategies(), ","), Usage: "`NAMES` of strategies"},
			&cli.IntFlag{Name: "partitions", Value: ring.DefaultPartitions, Usage: "`NUMBER` of partitions, where there are any"},
			&cli.IntFlag{Name: "replicas", Value: ring.DefaultReplicas, Usage: "`NUMBER` of copies of each key"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "KEYFILE"); err != nil {
				return err
			}
			out, err := outputOf(c)
			if err != nil {
				return err
			}
			o, err := simulationOf(c)
			if err != nil {
				return err
			}
			return simulateKeys(env, c.Args().First(), o, out)
		},
	}
}

func simulationOf(c *cli.Context) (o simulate.Options, err error) {
	o = simulate.Options{Strategies: strings.Split(c.String("strategies"), ","), Partitions: c.Int("partitions"), Replicas: c.Int("replicas")}
	if o.Replicas < 1 || o.Partitions < 1 {
		return o, usageErrorf("--partitions and --replicas count from 1")
	}
	for _, s := range strings.Split(c.String("nodes"), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < o.Replicas || n > 1024 || n > o.Partitions {
			return o, usageErrorf("--nodes %q: write numbers of nodes as 3,5,4; from the number of replicas (%d) to 1024, and no more than partitions", s, o.Replicas)
		}
		o.Nodes = append(o.Nodes, n)
	}
	return o, nil
}

func simulateKeys(env Env, file string, o simulate.Options, out format) error {
	f, err := os.Open(file)
	if err != nil {
		return noFile(fmt.Errorf("read keys: %w", err))
	}
	defer f.Close() //nolint:errcheck // nothing was written
	hashes, err := simulate.ReadKeys(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	rows, err := simulate.Run(hashes, o)
	if err != nil {
		return usageErrorf("%w", err)
	}
	if out == formatJSON {
		return writeJSON(env.Stdout, map[string]any{"keys": len(hashes), "replicas": o.Replicas, "partitions": o.Partitions, "rows": rows})
	}
	t := newTable(env.Stdout, "strategy", "nodes", "least", "most", "skew", "first", "moved", "needed")
	for _, r := range rows {
		t.AppendRow([]any{
			r.Strategy, r.Nodes, r.Least, r.Most, fmt.Sprintf("%.3f", r.Skew), fmt.Sprintf("%.3f", r.FirstSkew),
			fmt.Sprintf("%.1f%%", 100*r.MovedPart), fmt.Sprintf("%.1f%%", 100*r.LeastPart),
		})
	}
	rightAlign(t, 2, 3, 4, 5, 6, 7, 8)
	t.Render()
	_, err = fmt.Fprintf(env.Stdout, "%d keys, %d copies of each\n", len(hashes), o.Replicas)
	return err
}
