package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/test/sim"
)

// errViolated tells that a seed broke a promise; what it was has been printed.
var errViolated = errors.New("a promise was broken")

// campaign is many seeds, shared by processes.
type campaign struct {
	opt   options
	out   io.Writer
	began time.Time

	mu       sync.Mutex
	total    sim.Report
	ran      uint64
	last     uint64 // the highest seed that ran
	violated []uint64
}

// one runs the first seed only and tells all that happens.
func (c *campaign) one() error {
	res, err := runSeed(c.opt.first, func(line string) { fmt.Fprintln(c.out, line) })
	if err != nil {
		return err
	}
	c.note(res)
	return c.end()
}

// run shares the seeds among workers and waits for all of them.
func (c *campaign) run(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the running program: %w", err)
	}
	var all sync.WaitGroup
	errs := make([]error, c.opt.workers)
	for i := range errs {
		all.Go(func() { errs[i] = c.worker(ctx, exe, i) })
	}
	all.Wait()
	return errors.Join(append(errs, c.end())...)
}

// worker starts one and listens to it until it ends.
func (c *campaign) worker(ctx context.Context, exe string, i int) error {
	o := c.opt
	cmd := exec.CommandContext(ctx, exe, "-worker", strconv.Itoa(i), "-workers", strconv.Itoa(o.workers),
		"-first", strconv.FormatUint(o.first, 10), "-seeds", strconv.FormatUint(o.seeds, 10), "-within", o.within.String(), "-least", strconv.FormatUint(o.least, 10))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start worker %d: %w", i, err)
	}
	next := o.first + uint64(i)
	dec := json.NewDecoder(out)
	for {
		var res result
		if err = dec.Decode(&res); err != nil {
			break
		}
		c.note(res)
		next = res.Seed + uint64(o.workers)
	}
	if werr := cmd.Wait(); werr != nil {
		return fmt.Errorf("worker %d ended in seed %d (%s): %w", i, next, repeat(next), werr)
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("worker %d: %w", i, err)
	}
	return nil
}

// note takes a result, and prints at once what is wrong.
func (c *campaign) note(res result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran++
	c.last = max(c.last, res.Seed)
	c.total.Add(res.Report)
	if res.Error != "" {
		c.violated = append(c.violated, res.Seed)
		fmt.Fprintf(c.out, "VIOLATION: %s\n  the same again: %s\n", res.Error, repeat(res.Seed))
	}
}

// repeat is the command that runs exactly that seed, and tells what happens.
func repeat(seed uint64) string { return fmt.Sprintf("make sim SEED=%d SEEDS=1 FLAGS=-v", seed) }

// end prints what came of all seeds.
func (c *campaign) end() error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(c.out, "%-22s %s\n", name, fmt.Sprintf(format, args...))
	}
	t := &c.total
	line("seeds", "%d, from %d to %d, in %s with %d workers", c.ran, c.opt.first, c.last, time.Since(c.began).Round(time.Second), c.opt.workers)
	if c.ran < c.opt.seeds && !c.opt.verbose {
		line("", "of %d: no more fitted into %s", c.opt.seeds, c.opt.within)
	}
	line("operations", "%d, %d of them of unknown outcome", t.Operations, t.Unknown)
	line("reads of bounded age", "%d", t.Stale)
	line("ring changes", "%d completed", t.Changes)
	line("the operator", "%s", sim.Kinds(t.Edits))
	line("indexes", "%d entries compared with their objects", t.Indexed)
	line("writes that came again", "%d, %d of them below their session's floor", t.Repeated+t.Below, t.Below)
	line("scrubs", "%d; %d states found damaged, %d replaced by that of another replica", t.Scrubs, t.Damaged, t.Repaired)
	line("faults", "%s", sim.Kinds(t.Faults))
	line("undecided histories", "%d", t.Undecided)
	line("violations", "%d %v", len(c.violated), c.violated)
	switch {
	case len(c.violated) > 0:
		return errViolated
	case c.ran == 0:
		return errors.New("no seed ran")
	case c.ran < c.opt.least:
		return fmt.Errorf("%d seeds ran, and %d are the least (-least)", c.ran, c.opt.least)
	}
	return nil
}
