package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// clusters is one measurement of -only cluster: servers of a domain together, beside a cluster of ejabberd.
type clusters struct {
	*bench
	ours, lone *fleet
	peer       *fleet // nil: it is not there
	bounds     []bound
	began      time.Time
}

// serversOurs is how many servers our cluster has.
const serversOurs = 3

// clusterRun measures what it costs that a domain has several servers, and what becomes of its clients when one of
// them dies. Without the ruler nothing can be measured: it says so, and that is no error.
func (b *bench) clusterRun(ctx context.Context) (err error) {
	c := &clusters{bench: b}
	parts := strings.Split(b.o.parts, ",")
	for _, name := range parts {
		if c.part(name) == nil {
			return fmt.Errorf("-parts %q: %q is none of %s", b.o.parts, name, allParts)
		}
	}
	if _, err := b.source("xmppload"); err != nil {
		fmt.Fprintln(os.Stderr, "nothing is measured:", err)
		return nil
	}
	if err := b.build(ctx, "xmppload"); err != nil {
		return err
	}
	c.began = time.Now()
	before := nameServers()
	defer func() { err = errors.Join(err, stopNameServers(before)) }()
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := c.start(ctx); err != nil {
		return err
	}
	for _, part := range parts {
		c.say(part)
		if err := c.part(part)(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return b.hold(c.bounds)
}

// allParts are what -parts can name.
const allParts = "chat,shares,storm,faults"

// part is a measurement; nil: there is none of that name.
func (c *clusters) part(name string) func(context.Context) error {
	switch name {
	case "chat":
		return c.chats
	case "shares":
		return c.carry
	case "storm":
		return c.storms
	case "faults":
		return c.faults
	}
	return nil
}

// say tells how far the run is.
func (c *clusters) say(what string) {
	fmt.Fprintf(os.Stderr, "bench: after %v: %s; load average %s\n", time.Since(c.began).Round(time.Second), what, loadAverage())
}

// start starts the clusters and makes their accounts.
func (c *clusters) start(ctx context.Context) (err error) {
	c.say("starting the clusters")
	if c.ours, err = c.oursFleet("cluster", serversOurs); err != nil {
		return err
	}
	if c.lone, err = c.oursFleet("lone", 1); err != nil {
		return err
	}
	if c.peer, err = c.peerFleet(ctx); err != nil {
		return err
	}
	for _, f := range []*fleet{c.ours, c.lone} {
		if err := f.start(ctx); err != nil {
			return err
		}
	}
	c.say("making accounts")
	var all errgroup.Group
	for _, f := range c.fleets(c.lone) {
		users := max(c.stormClients(), carryUsers*serversOurs)
		if f == c.lone {
			users = carryUsers
		}
		all.Go(func() error {
			_, err := c.load(ctx, "xmppload", "-addr", f.members[0].c2s, "-mode", "register", "-users", strconv.Itoa(users), "-conc", "32", "-login-time", "3m")
			return err
		})
	}
	return all.Wait()
}

// fleets are those that are compared, and more.
func (c *clusters) fleets(more ...*fleet) []*fleet {
	all := []*fleet{c.ours}
	if c.peer != nil {
		all = append(all, c.peer)
	}
	return append(all, more...)
}

func (c *clusters) stop() error {
	var errs []error
	for _, f := range []*fleet{c.ours, c.lone, c.peer} {
		if f != nil {
			errs = append(errs, f.stop())
		}
	}
	return errors.Join(errs...)
}

// addrs joins the addresses of members.
func addrs(members []*fleetMember) string {
	var all []string
	for _, m := range members {
		all = append(all, m.c2s)
	}
	return strings.Join(all, ",")
}

// timed is how long a measurement takes.
func (c *clusters) timed(args ...string) []string {
	warm, run := "1s", "6s"
	if c.o.quick {
		warm, run = "300ms", "1s"
	}
	return append([]string{"-warmup", warm, "-duration", run}, args...)
}

// What is measured of chat; the second differs in where the partners are.
const chatWithin, chatAcross = "partners at one server", "partners at two servers"

// crossLimit is the CPU that a message may cost more across two servers, in microseconds.
const crossLimit = 10

// chats measures messages between clients of one server, and of two.
func (c *clusters) chats(ctx context.Context) error {
	var all samples
	extra := make(map[string][]sample)
	for range c.o.passes {
		for _, f := range c.fleets() {
			var cpu [2]float64
			for i, pairing := range []string{"same", "cross"} {
				before := f.links(ctx)
				got, err := c.load(ctx, "xmppload", c.timed("-mode", "chat", "-users", "100", "-window", "4", "-pairing", pairing,
					"-addr", addrs(f.members[:2]), "-pid", pidList(f.pids()...))...)
				if err != nil {
					return err
				}
				if pairing == "cross" {
					f.links(ctx).passed(before, got[0])
				}
				all.add(rowName([]string{chatWithin, chatAcross}[i], f.name), got)
				cpu[i], _ = middle(got, "server_cpu_us_each")
			}
			extra[f.name] = append(extra[f.name], sample{"server_cpu_us_each": cpu[1] - cpu[0]})
		}
	}
	for _, f := range c.fleets() {
		all.add(rowName("what two servers cost more", f.name), extra[f.name])
	}
	fmt.Printf("\nchat, 50 pairs, window 4, 200 B, by two servers of a domain; loopback; medians, passes: %d; %s\n\n", c.o.passes, machine())
	got, ok := middle(extra[ours], "server_cpu_us_each")
	c.bounds = append(c.bounds, bound{what: "CPU of a message across two servers, more than within one, us", got: got, measured: ok, limit: crossLimit})
	return all.print([]column{
		{"CPU us each", "server_cpu_us_each"},
		{"per s", "per_s"},
		{"p50 us", "lat_p50_us"},
		{"p99 us", "lat_p99_us"},
		{"lost", "undelivered"},
		{"duplicates", "duplicates"},
		{"out of order", "out_of_order"},
		{"frames a write", "frames_batch"},
		{"bytes a frame", "bytes_frame"},
		{"others' cores", "others_cores"},
	})
}

// linkCounts are the counters of all links of a fleet; zero where it does not tell.
type linkCounts struct{ frames, bytes, batches float64 }

func (f *fleet) links(ctx context.Context) (l linkCounts) {
	for _, m := range f.members {
		if m.http == "" {
			continue
		}
		l.frames += m.metric(ctx, "xmppd_cluster_link_sent_frames_total")
		l.bytes += m.metric(ctx, "xmppd_cluster_link_sent_bytes_total")
		l.batches += m.metric(ctx, "xmppd_cluster_link_sent_batches_total")
	}
	return l
}

// passed puts down what has passed since before.
func (l linkCounts) passed(before linkCounts, s sample) {
	frames, batches := l.frames-before.frames, l.batches-before.batches
	if frames > 0 && batches > 0 {
		s["frames_batch"], s["bytes_frame"] = frames/batches, (l.bytes-before.bytes)/frames
	}
}
