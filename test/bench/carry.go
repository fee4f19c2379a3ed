package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// What each server is given to carry: its share of a processor, so small that the load generator is not what ends it, and
// clients enough that it always has something to do.
const (
	carryShare = 0.1
	carryUsers = 200
	carryLeast = 0.8 // of what it carries alone
)

// carry measures what three servers carry together that have the same share of a processor as one alone.
func (c *clusters) carry(ctx context.Context) error {
	undo, err := shared(append(c.ours.pids(), c.lone.pids()...), carryShare)
	if err != nil {
		fmt.Fprintln(os.Stderr, "three servers are not compared with one:", err)
		c.bounds = append(c.bounds, carryBound(nil))
		return nil
	}
	defer func() {
		if err := undo(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}()
	var all samples
	var factors []sample
	for range c.o.passes {
		one, err := c.carried(ctx, c.lone, "same", carryUsers, 0)
		if err != nil {
			return err
		}
		all.add("a server alone", one)
		alone, _ := middle(one, "per_s")
		for _, w := range []struct {
			name         string
			first        string
			users, cross int
		}{
			{"three, partners at one server", "same", serversOurs * carryUsers, 0},
			{"three, partners anywhere", "same", carryUsers, 2 * carryUsers},
			{"three, partners at two servers", "cross", serversOurs * carryUsers, 0},
		} {
			got, err := c.carried(ctx, c.ours, w.first, w.users, w.cross)
			if err != nil {
				return err
			}
			for _, s := range got {
				s.rename("per_s", "factor", 1/alone)
			}
			all.add(w.name, got)
			if w.users == serversOurs*carryUsers && w.first == "same" {
				factors = append(factors, got...)
			}
		}
	}
	c.bounds = append(c.bounds, carryBound(factors))
	fmt.Printf("\nchat, %d pairs a server, window 8, 200 B; each server has %v of a processor; medians, passes: %d; %s\n\n", carryUsers/2, carryShare, c.o.passes, machine())
	return all.print([]column{
		{"per s", "per_s"},
		{"times one server", "factor"},
		{"CPU us each", "server_cpu_us_each"},
		{"servers' cores", "server_cores"},
		{"p50 us", "lat_p50_us"},
		{"p99 us", "lat_p99_us"},
		{"lost", "undelivered"},
		{"others' cores", "others_cores"},
	})
}

func carryBound(factors []sample) bound {
	got, ok := middle(factors, "factor")
	return bound{what: "three servers carry, times one of the same share", got: got, measured: ok, limit: carryLeast * serversOurs, least: true}
}

// carried runs chat of so many users over all servers of a fleet, and beside it that of cross users whose partners are at
// another server each.
func (c *clusters) carried(ctx context.Context, f *fleet, pairing string, users, cross int) ([]sample, error) {
	chat := func(ctx context.Context, pairing string, first, users int) (sample, error) {
		got, err := c.load(ctx, "xmppload", c.timed("-mode", "chat", "-users", strconv.Itoa(users), "-first", strconv.Itoa(first), "-window", "8",
			"-pairing", pairing, "-addr", addrs(f.members), "-pid", pidList(f.pids()...), "-drain", "20s")...)
		if err != nil {
			return nil, err
		}
		return got[0], nil
	}
	var parts [2]sample
	var both errgroup.Group
	both.Go(func() (err error) {
		parts[0], err = chat(ctx, pairing, 0, users)
		return err
	})
	if cross > 0 {
		both.Go(func() (err error) {
			parts[1], err = chat(ctx, "cross", users, cross)
			return err
		})
	}
	if err := both.Wait(); err != nil || cross == 0 {
		return parts[:1], err
	}
	sum := parts[0]
	for _, field := range []string{"per_s", "delivered", "undelivered"} {
		a, _ := sum.number(field)
		b, _ := parts[1].number(field)
		sum[field] = a + b
	}
	cpu, _ := sum.number("server_cpu_s") // of all, whoever looks
	delivered, _ := sum.number("delivered")
	sum["server_cpu_us_each"] = cpu * 1e6 / delivered
	for _, field := range []string{"lat_p50_us", "lat_p99_us", "others_cores"} { // of one of the two only
		delete(sum, field)
	}
	return []sample{sum}, nil
}
