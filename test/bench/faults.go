package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// How the messages of the ledgers come and go.
const (
	faultPairs = 10                     // of each ledger
	faultEvery = 200 * time.Millisecond // between two messages of a pair
	healTime   = 20 * time.Second       // that a cluster has to find together again
	healthTime = 10 * time.Second       // of the look at how it is afterwards
)

// freezeTime is for how long a server stands still.
func (c *clusters) freezeTime() time.Duration {
	if c.o.quick {
		return 20 * time.Second
	}
	return 100 * time.Second
}

// faults kills a server of each cluster, and stops another process of it for a while (SIGSTOP), all clusters at the same time:
// each message has to be delivered, kept, or come back.
func (c *clusters) faults(ctx context.Context) error {
	fleets := c.fleets()
	tables := make([]samples, len(fleets))
	var all errgroup.Group
	for i, f := range fleets {
		all.Go(func() error {
			if err := c.killed(ctx, f, &tables[i]); err != nil {
				return fmt.Errorf("%s, killed: %w", f.name, err)
			}
			if err := c.frozen(ctx, f, &tables[i]); err != nil {
				return fmt.Errorf("%s, standing still: %w", f.name, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	var both samples
	for i := range tables {
		for _, row := range tables[i].names {
			both.add(row, tables[i].runs[row])
		}
	}
	both.sort()
	vanished, twice := both.total(ours, "vanished"), both.total(ours, "twice")
	c.bounds = append(c.bounds,
		bound{what: "messages that vanish when a server is killed or stands still", got: vanished, measured: true},
		bound{what: "messages that come twice, or come and come back", got: twice, measured: true})
	fmt.Printf("\none server is killed, then stands still for %v; a message each %v in each of %d conversations a row; %s\n\n", c.freezeTime(), faultEvery, faultPairs, machine())
	return both.print([]column{
		{"sent", "sent"},
		{"delivered", "delivered"},
		{"kept", "kept"},
		{"bounced", "bounced"},
		{"vanished", "vanished"},
		{"twice", "twice"},
	})
}

// total adds up a field over the rows of a server.
func (a *samples) total(server, field string) (sum float64) {
	for _, name := range a.names {
		if len(name) < len(server) || name[len(name)-len(server):] != server {
			continue
		}
		for _, s := range a.runs[name] {
			v, _ := s.number(field)
			sum += v
		}
	}
	return sum
}

// talk is the conversations of one fault.
type talk struct {
	ledgers []*ledger
	runs    sync.WaitGroup // of clients
	sending sync.WaitGroup
	done    chan struct{} // no more is sent
	end     context.CancelFunc
	ctx     context.Context //nolint:containedctx // of the clients
	used    int             // users
}

func newTalk(ctx context.Context) *talk {
	t := &talk{done: make(chan struct{})}
	t.ctx, t.end = context.WithCancel(ctx)
	return t
}

// between begins conversations of clients of one server with those of another. A client whose server ends goes to the
// others.
func (t *talk) between(name string, f *fleet, from, to int) (*ledger, error) {
	l := newLedger(name)
	t.ledgers = append(t.ledgers, l)
	for pair := range faultPairs {
		sender, err := l.login(t.ctx, &t.runs, t.used, "ledger", f.from(from))
		if err != nil {
			return nil, err
		}
		receiver, err := l.login(t.ctx, &t.runs, t.used+1, "ledger", f.from(to))
		if err != nil {
			return nil, err
		}
		t.used += 2
		receiver.connMu.Lock()
		address := receiver.conn.JID()
		receiver.connMu.Unlock()
		t.sending.Go(func() {
			tick := time.NewTicker(faultEvery)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-tick.C:
					sender.send(address, l.mark(pair, n))
				case <-t.done:
					return
				}
			}
		})
	}
	return l, nil
}

// from lists the addresses of a fleet's members beginning with one.
func (f *fleet) from(i int) (all []string) {
	for _, m := range f.members {
		all = append(all, m.c2s)
	}
	return rotated(all, i)
}

// settle sends no more and waits for what is under way; then all receivers log in once more, at each server, for what is
// kept for them.
func (t *talk) settle(f *fleet) error {
	close(t.done)
	t.sending.Wait()
	t.expect()
	still, most := 5*time.Second, 40*time.Second
	for _, l := range t.ledgers {
		if err := l.quiet(t.ctx, still, most); err != nil {
			return err
		}
	}
	t.fetch(f)
	t.expect()
	for _, l := range t.ledgers {
		if err := l.quiet(t.ctx, still, most); err != nil {
			return err
		}
	}
	return nil
}

// expect has the wait for quiet begin now.
func (t *talk) expect() {
	for _, l := range t.ledgers {
		l.mu.Lock()
		l.last = time.Now()
		l.mu.Unlock()
	}
}

// fetch logs all receivers in at each server. One that does not let them in has nothing for them.
func (t *talk) fetch(f *fleet) {
	var all sync.WaitGroup
	for i, m := range f.running() {
		user := 1
		for _, l := range t.ledgers {
			for range faultPairs {
				receiver := user
				all.Go(func() {
					if _, err := l.login(t.ctx, &t.runs, receiver, fmt.Sprint("later", i), []string{m.c2s}); err != nil {
						fmt.Fprintf(os.Stderr, "bench: %s: %v\n", f.name, err)
					}
				})
				user += 2
			}
		}
	}
	all.Wait()
}

// close logs all clients out.
func (t *talk) close() {
	t.end()
	t.runs.Wait()
}

// rest waits; it is an error when the run ends meanwhile.
func (t *talk) rest(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}

// killed kills the last server of a cluster, and starts it again at the end. What its own clients have sent that it has not
// read is no message yet: only what the others send is counted.
func (c *clusters) killed(ctx context.Context, f *fleet, table *samples) (err error) {
	last := len(f.members) - 1
	t := newTalk(ctx)
	defer func() {
		t.close()
		err = errors.Join(err, f.start(ctx))
	}()
	to, err := t.between("to", f, 0, last)
	if err != nil {
		return err
	}
	beside, err := t.between("beside", f, 0, min(1, last-1))
	if err != nil {
		return err
	}
	if err := t.rest(healthTime / 2); err != nil {
		return err
	}
	if err := f.members[last].kill(); err != nil {
		return err
	}
	if err := errors.Join(t.rest(healthTime), t.settle(f)); err != nil {
		return err
	}
	table.add(rowName("killed: to its clients", f.name), []sample{to.sum(time.Time{}, time.Time{})})
	table.add(rowName("killed: between other clients", f.name), []sample{beside.sum(time.Time{}, time.Time{})})
	return nil
}

// frozen stops the process of the last server for a while.
func (c *clusters) frozen(ctx context.Context, f *fleet, table *samples) error {
	last := len(f.members) - 1
	t := newTalk(ctx)
	defer t.close()
	var ledgers [3]*ledger
	for i, l := range []struct {
		name     string
		from, to int
	}{{"to", 0, last}, {"from", last, 0}, {"beside", 0, min(1, last-1)}} {
		var err error
		if ledgers[i], err = t.between(l.name, f, l.from, l.to); err != nil {
			return err
		}
	}
	if err := t.rest(healthTime / 2); err != nil {
		return err
	}
	if err := f.members[last].signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := errors.Join(t.rest(c.freezeTime()), f.members[last].signal(syscall.SIGCONT), t.rest(healTime)); err != nil {
		return err
	}
	healed := time.Now()
	if err := errors.Join(t.rest(healthTime), t.settle(f)); err != nil {
		return err
	}
	var never time.Time
	for i, what := range []string{"standing still: to its clients", "standing still: from its clients", "standing still: between other clients"} {
		table.add(rowName(what, f.name), []sample{ledgers[i].sum(never, healed)})
	}
	after := ledgers[0].sum(healed, never)
	for field, v := range ledgers[1].sum(healed, never) {
		after[field] = after[field].(float64) + v.(float64)
	}
	table.add(rowName(fmt.Sprintf("from %v after it goes on: both ways", healTime), f.name), []sample{after})
	return nil
}
