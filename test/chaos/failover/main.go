// Command failover measures how long writers are held up when a data node that
// leads, or one of several XMPP servers, is killed (SIGKILL) or frozen (SIGSTOP): a cluster of processes on loopback, writers on
// roots of many partitions, and one blow after the other. For each it prints the
// longest time between two acknowledgements of one writer. An error of a writer ends it; a gap beyond -within makes it end
// with an error, when all have been measured.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/chaos"
)

// killedWithin is how long writers may be held up by a kill unless something else is asked for.
const killedWithin = 500 * time.Millisecond

type options struct {
	kills, servers, nodes, partitions, writers int
	kill, stop                                 string
	pace, calm, frozen, within                 time.Duration
	json                                       bool
}

func main() {
	chaos.Child()
	var o options
	flag.IntVar(&o.kills, "kills", 20, "how many")
	flag.StringVar(&o.kill, "kill", "node", "node: the leader of a writer's partition; server: one XMPP server after the other")
	flag.StringVar(&o.stop, "stop", "", "node or server: freezes it by SIGSTOP instead of killing it")
	flag.DurationVar(&o.frozen, "frozen", 8*time.Second, "how long it is frozen: servers cut one off after 4s")
	flag.IntVar(&o.servers, "servers", 3, "XMPP servers")
	flag.IntVar(&o.nodes, "nodes", 3, "data nodes")
	flag.IntVar(&o.partitions, "partitions", 64, "of the store")
	flag.IntVar(&o.writers, "writers", 16, "each with a root of its own")
	flag.DurationVar(&o.pace, "pace", 2*time.Millisecond, "a writer's pause between two writes")
	flag.DurationVar(&o.calm, "calm", 2*time.Second, "before each kill, in which the node that is back gets its leaderships again")
	flag.DurationVar(&o.within, "within", 0, "the longest gap that is no error; 0: 500ms at kills, any at freezes; negative: any")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.Parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func (o options) check() error {
	for _, c := range []struct {
		flag, value string
		may         []string
	}{{"kill", o.kill, []string{"node", "server"}}, {"stop", o.stop, []string{"", "node", "server"}}} {
		if !slices.Contains(c.may, c.value) {
			return fmt.Errorf("-%s %q: choose node or server", c.flag, c.value)
		}
	}
	if o.target() == "server" && o.servers < 2 {
		return fmt.Errorf("-servers %d: writers outlive a server only where there are others", o.servers)
	}
	return nil
}

// target is what is struck: node or server.
func (o options) target() string {
	if o.stop != "" {
		return o.stop
	}
	return o.kill
}

func (o options) verb() string {
	if o.stop != "" {
		return "freeze"
	}
	return "kill"
}

func run(ctx context.Context, o options) error {
	return chaos.WithCluster(ctx, devcluster.Options{Servers: o.servers, Nodes: o.nodes, Partitions: o.partitions}, func(ctx context.Context, c *devcluster.Cluster) error {
		m, err := newMeasurement(ctx, c, o)
		if err != nil {
			return err
		}
		defer m.close()
		return m.killAll(ctx)
	})
}

// result is what one kill, or freeze, has cost.
type result struct {
	Killed  string        `json:"killed"` // its id
	Frozen  bool          `json:"frozen,omitempty"`
	Held    int           `json:"held"` // writers whose leader it was
	Longest time.Duration `json:"longest_ns"`
}

func (m *measurement) killAll(ctx context.Context) error {
	var results []result
	for i := range m.opt.kills {
		if err := m.pause(ctx, m.opt.calm); err != nil {
			return err
		}
		r, err := m.strike(ctx, i)
		if err != nil {
			return fmt.Errorf("%s %d: %w", m.opt.verb(), i+1, err)
		}
		results = append(results, r)
		if !m.opt.json {
			fmt.Printf("%2d  %s %s, which led %2d of %d writers' partitions: longest gap %4d ms\n", i+1, m.opt.verb(), r.Killed, r.Held, m.opt.writers, r.Longest.Milliseconds())
		}
	}
	if err := m.opt.print(results); err != nil {
		return err
	}
	return m.opt.judge(results)
}

// print tells what all have cost together.
func (o options) print(results []result) error {
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	all := make([]time.Duration, 0, len(results))
	for _, r := range results {
		all = append(all, r.Longest)
	}
	slices.Sort(all)
	if len(all) > 0 {
		fmt.Printf("median %d ms, longest %d ms, of %d times\n", all[len(all)/2].Milliseconds(), all[len(all)-1].Milliseconds(), len(all))
	}
	return nil
}

// judge is an error if any gap was beyond the bound.
func (o options) judge(results []result) error {
	within := o.within
	if within == 0 && o.stop == "" {
		within = killedWithin
	}
	beyond := 0
	for _, r := range results {
		if within > 0 && r.Longest > within {
			beyond++
		}
	}
	if beyond > 0 {
		return fmt.Errorf("%d of %d gaps are longer than %s (-within)", beyond, len(results), within)
	}
	return nil
}

// idOf is the process of a full JID.
func idOf(jid string) string {
	id, _, _ := strings.Cut(jid, "@")
	return id
}
