package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rosterdb/rosterdb/cli/ringctl/demo"
	"github.com/urfave/cli/v2"
)

type demoOptions struct {
	nodes  int
	smoke  bool
	output format
}

func demoCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "see a cluster write, replicate, survive a kill and read back real data",
		Description: `Starts an XMPP domain of three servers and data nodes as processes on loopback, loads the source
tree of the Go standard library found on this machine (a small built-in set where
there is none), reads it back through a second client and compares bytes, follows
references, kills a data node and one of three XMPP servers in the middle of a stream of writes, checks that
every acknowledged write is there, and prints what it measured. Then the cluster
stays for you to try things, until ctrl-C; nothing is left behind.

   ringctl demo
   ringctl demo --smoke -o json | tail -1 | jq .ok

With --smoke it loads the Go sources without tests and does not stay. With
-o json the last line of the output is one object, everything else goes to the
error output: {"ok","nodes","objects","acknowledged","lost","errors",
"writes_per_s","reads_per_s","longest_gap_ms"}. Exit code 0 only if all held.`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "nodes", Value: 5, Usage: "`NUMBER` of data nodes, 3 or more"},
			&cli.BoolFlag{Name: "smoke", Usage: "end after the steps; under a minute"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			out, err := outputOf(c)
			if err != nil {
				return err
			}
			o := demoOptions{nodes: c.Int("nodes"), smoke: c.Bool("smoke"), output: out}
			if o.nodes < 3 {
				return usageErrorf("%d data nodes do not survive the loss of one; choose 3 or more", o.nodes)
			}
			return runDemo(c.Context, env, o)
		},
	}
}

func runDemo(ctx context.Context, env Env, o demoOptions) error {
	out, terminal := io.Writer(env.Stdout), env.Terminal
	if o.output == formatJSON {
		out, terminal = env.Stderr, false
	}
	r, err := demo.Run(ctx, demo.Options{Nodes: o.nodes, Smoke: o.smoke, Out: out, Terminal: terminal, Getenv: env.Getenv})
	if err != nil {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintln(env.Stderr, "interrupted; the cluster is stopped and its files are removed")
			return err
		}
		if o.output == formatJSON {
			failed := demo.Report{Nodes: o.nodes, Problems: []string{err.Error()}}
			return errors.Join(err, writeJSON(env.Stdout, failed))
		}
		return err
	}
	if o.output == formatJSON {
		if err := writeJSON(env.Stdout, r); err != nil {
			return err
		}
	}
	if !r.OK {
		return fmt.Errorf("the demo found something wrong: %s", r.Problems[0])
	}
	return nil
}
