package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rosterdb/rosterdb/test/powerfs"
)

// fault is a kind of misfortune.
type fault struct {
	name   string
	needs  func(o *Options) bool
	strike func(ctx context.Context, l *lane) error // and mends it
}

// lane is a sequence of faults, one at a time, drawn from its own seed.
type lane struct {
	stage   *stage
	rng     *rand.Rand
	calm    time.Duration  // between two faults, about
	longest time.Duration  // that a fault lasts
	lose    bool           // what is not synced at a power cut
	acks    func() []int64 // of each writer of the ledger
	kinds   []fault
	first   []fault // these strike before any is drawn, however late it gets
	told    func(string)
	counts  func(kind string)
}

// run lets faults strike until ctx ends, and those that are to be first in any case; the last is mended then.
func (l *lane) run(ctx context.Context) error {
	for {
		if !goesOn(ctx, l.calm/4+l.upTo(l.calm), len(l.first) > 0) {
			return nil
		}
		kind := l.kinds[l.rng.IntN(len(l.kinds))]
		if len(l.first) > 0 {
			kind, l.first = l.first[0], l.first[1:]
		}
		l.counts(kind.name)
		// What has begun is brought to its end.
		l.stage.members.RLock()
		err := kind.strike(context.WithoutCancel(ctx), l)
		l.stage.members.RUnlock()
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
}

// goesOn waits for a while in which the work goes on undisturbed. When the time of the run is over it says no, unless
// something must happen in any case; when the run is given up, always.
func goesOn(ctx context.Context, calm time.Duration, must bool) bool {
	over := ctx.Done()
	if must {
		over = nil
	}
	select {
	case <-over:
		return false
	case <-time.After(calm):
	}
	return ctx.Err() == nil || must && errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

func (l *lane) upTo(most time.Duration) time.Duration {
	return time.Duration(l.rng.Int64N(int64(most)))
}

// hold is how long a fault lasts.
func (l *lane) hold() time.Duration { return l.longest/30 + l.upTo(l.longest) }

// victim is a data node.
func (l *lane) victim() string {
	ids := l.stage.ids()
	return ids[l.rng.IntN(len(ids))]
}

// wait is the time that a fault lasts.
func (l *lane) wait(what, id string) { l.waitFor(what, id, l.hold()) }

func (l *lane) waitFor(what, id string, d time.Duration) {
	l.told(fmt.Sprintf("%s %s for %s", what, id, d.Round(time.Millisecond)))
	time.Sleep(d)
}

// back starts a process that was killed, and waits until all is well.
func (l *lane) back(ctx context.Context, ids ...string) error {
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	for _, id := range ids {
		if err := l.stage.restart(ctx, id); err != nil {
			return fmt.Errorf("start %s again: %w", id, err)
		}
	}
	return l.stage.waitHealthy(ctx)
}

func always(*Options) bool        { return true }
func withDisks(o *Options) bool   { return o.disks }
func withNetwork(o *Options) bool { return o.namespaces }

// crashes are the faults of which one at a time leaves a majority, or which end soon.
func crashes() []fault {
	return []fault{
		{"kill", always, func(ctx context.Context, l *lane) error {
			id := l.victim()
			if err := l.stage.kill(id); err != nil {
				return err
			}
			l.wait("kill", id)
			return l.back(ctx, id)
		}},
		{"freeze", always, func(ctx context.Context, l *lane) error {
			id := l.victim()
			if err := l.stage.cluster.Signal(id, syscall.SIGSTOP); err != nil {
				return err
			}
			l.wait("freeze", id)
			if err := l.stage.cluster.Signal(id, syscall.SIGCONT); err != nil {
				return err
			}
			return l.stage.waitHealthy(ctx)
		}},
		{"restart", always, func(ctx context.Context, l *lane) error {
			id := l.victim()
			l.told("restart " + id)
			return l.back(ctx, id)
		}},
		{"cut", withNetwork, func(ctx context.Context, l *lane) error {
			id := l.victim()
			if err := l.stage.node(id).ns.cut(true); err != nil {
				return err
			}
			l.wait("cut the link of", id)
			if err := l.stage.node(id).ns.cut(false); err != nil {
				return err
			}
			return l.stage.waitHealthy(ctx)
		}},
		{"full", withDisks, func(ctx context.Context, l *lane) error {
			id := l.victim()
			l.stage.node(id).disk.SetFull(true)
			l.wait("fill the disk of", id)
			l.stage.node(id).disk.SetFull(false)
			return l.stage.waitHealthy(ctx)
		}},
		{"power", withDisks, func(ctx context.Context, l *lane) error { return l.power(ctx, l.victim()) }},
		{"blackout", withDisks, func(ctx context.Context, l *lane) error { return l.power(ctx, l.stage.ids()...) }},
	}
}

func (l *lane) power(ctx context.Context, ids ...string) error {
	fate, seed := powerfs.Lose, l.rng.Uint64()
	if l.rng.IntN(2) == 0 && !l.lose {
		fate = powerfs.Scatter
	}
	l.beforePowerCut(ctx)
	if err := l.stage.powerCut(fate, seed, ids...); err != nil {
		return err
	}
	l.afterPowerCut(l.stage.opt.SyncTime)
	l.wait("cut the power of", strings.Join(ids, ", "))
	return l.back(ctx, ids...)
}

// troubles are faults of the network that may come on top.
func troubles() []fault {
	return []fault{
		{"slow", always, func(_ context.Context, l *lane) error {
			w, id := l.ways()
			delay := time.Millisecond + l.upTo(60*time.Millisecond)
			w.each(func(k *link) { k.slow(delay) })
			l.wait(fmt.Sprintf("%s later each way,", delay.Round(time.Millisecond)), id)
			w.each(func(k *link) { k.slow(0) })
			return nil
		}},
		{"drop", always, func(ctx context.Context, l *lane) error {
			if l.stage.plant == NoDedupe {
				l.dropAnswers(ctx)
				return nil
			}
			w, id := l.ways()
			l.told("break the connections of " + id)
			w.each((*link).drop)
			return nil
		}},
		{"stall", always, func(_ context.Context, l *lane) error {
			w, id := l.ways()
			w.each(func(k *link) { k.stall(true) })
			l.wait("stall the connections of", id)
			w.each(func(k *link) { k.stall(false) })
			return nil
		}},
	}
}

// ways are those of a data node, or the clients', to one server or to all.
func (l *lane) ways() (w ways, who string) {
	ids := l.stage.ids()
	if i := l.rng.IntN(len(ids) + 1); i < len(ids) {
		w, who = l.stage.node(ids[i]).ways, ids[i]
	} else {
		w, who = l.stage.clients, "the clients"
	}
	if i := l.rng.IntN(len(w) + 1); len(w) > 1 && i < len(w) {
		return w[i : i+1], fmt.Sprintf("%s to server %d", who, i+1)
	}
	return w, who
}

// ringChange is the name for nodes that join and leave. No fault, but just as
// trying.
const ringChange = "ring"

// first are those of a lane's faults that are to strike in any case, in that order.
func first(o *Options, kinds []fault) (out []fault) {
	for _, name := range o.First {
		if i := slices.IndexFunc(kinds, func(f fault) bool { return f.name == name }); i >= 0 {
			out = append(out, kinds[i])
		}
	}
	return out
}

// chosen are the faults that work here and are wanted.
func chosen(o *Options, kinds []fault) []fault {
	return slices.DeleteFunc(kinds, func(f fault) bool {
		return !f.needs(o) || o.Kinds != nil && !slices.Contains(o.Kinds, f.name)
	})
}

// Kinds names all faults.
func Kinds() (names []string) {
	for _, f := range slices.Concat(crashes(), troubles(), downfalls()) {
		names = append(names, f.name)
	}
	return append(names, ringChange)
}
