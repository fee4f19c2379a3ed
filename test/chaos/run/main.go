// Command run lets a cluster of real processes suffer, and judges it: `make
// chaos`. See package chaos.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/test/chaos"
)

func main() {
	chaos.Child()
	o := chaos.Options{Log: os.Stderr}
	flag.Uint64Var(&o.Seed, "seed", 0, "of the faults; 0: by chance")
	flag.DurationVar(&o.Duration, "duration", 5*time.Minute, "of the faults")
	flag.IntVar(&o.Servers, "servers", 0, "XMPP servers; 0: 3, or 1 with -plant")
	flag.IntVar(&o.Nodes, "nodes", 3, "data nodes")
	flag.IntVar(&o.Partitions, "partitions", 16, "of the store")
	flag.StringVar(&o.Dir, "dir", "", "of data and logs; empty: a temporary one, kept if something is wrong")
	flag.DurationVar(&o.Pace, "pace", 3*time.Millisecond, "pause of each client between operations; negative: none")
	flag.DurationVar(&o.Calm, "calm", 0, "between two faults, about; 0: 2s")
	flag.DurationVar(&o.Hold, "hold", 0, "longest that a fault lasts; 0: 3s")
	flag.DurationVar(&o.SyncTime, "sync", 0, "that a sync of a disk takes; 0: 2ms")
	kinds := flag.String("faults", "", "those to choose from, of "+strings.Join(chaos.Kinds(), ",")+"; empty: all that work here")
	first := flag.String("first", "", "faults, and changes of the ring ("+strings.Join(chaos.Changes(), ",")+"), that happen in any case, before any by chance")
	plant := flag.String("plant", "", fmt.Sprintf("a mistake that the run must notice, of %q", chaos.Plants()))
	flag.Parse()
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1_000_000) + 1
	}
	if *kinds != "" {
		o.Kinds = strings.Split(*kinds, ",")
	}
	if *first != "" {
		o.First = strings.Split(*first, ",")
	}
	o.Plant = chaos.Plant(*plant)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	report, err := chaos.Run(ctx, o)
	stop()
	if report != nil {
		report.Print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}
