package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// ErrViolated tells that something was lost, doubled or wrong; the report says what.
var ErrViolated = errors.New("a promise was broken")

// run is a run under way.
type run struct {
	opt    Options
	stage  *stage
	tasks  []task
	ledger *ledger
	meter  *meter
	began  time.Time

	mu     sync.Mutex
	faults map[string]int
}

// Run lets a cluster suffer and judges it. The report is complete unless the
// error is one of the machinery: ErrViolated comes with a report. The directory
// is removed if all is well and its name was not given.
func Run(ctx context.Context, o Options) (*Report, error) {
	own := o.Dir == ""
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &run{opt: o, meter: newMeter(o.Pace), faults: make(map[string]int), began: time.Now()}
	r.ledger = &ledger{meter: r.meter}
	if r.stage, err = newStage(ctx, &o); err != nil {
		return nil, fmt.Errorf("start a cluster in %s: %w", o.Dir, err)
	}
	report, err := r.suffer(ctx)
	err = errors.Join(err, r.stage.close())
	if err == nil && own {
		err = os.RemoveAll(o.Dir)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s\ndata and logs: %s", err, o.Repeat(), o.Dir)
	}
	return report, err
}

func (r *run) told(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.opt.Log, "%8.3f s  %s\n", time.Since(r.began).Seconds(), what) // a lost line of a log costs nothing
}

func (r *run) counts(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[kind]++
}

func (r *run) suffer(ctx context.Context) (*Report, error) {
	r.tasks = []task{
		r.ledger, &counters{meter: r.meter}, &trees{meter: r.meter}, &increments{meter: r.meter}, &watchers{meter: r.meter}, newHistory(r.meter, r.opt.Dir),
		&scans{meter: r.meter}, &stales{meter: r.meter}, &lapses{meter: r.meter, within: healthy}, &outcomes{meter: r.meter}, newQueries(r.meter),
		newStreams(r.meter), &pairs{meter: r.meter}, &claims{meter: r.meter}, &transfers{meter: r.meter},
	}
	operator := &changer{stage: r.stage, binary: r.opt.Binary, told: r.told, counts: r.counts}
	saved := &backups{operator: operator, ledger: r.ledger, dir: r.opt.Dir, calm: 3 * r.opt.Calm}
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	var work sync.WaitGroup
	defer work.Wait()
	defer stopWork() // before the wait
	var clients []*appclient.Client
	for i, t := range r.tasks {
		c, err := r.stage.dial(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("log in as an application: %w", err)
		}
		clients = append(clients, c)
		defer c.Close() //nolint:errcheck // never fails
		for id := range t.clients() {
			work.Go(func() { t.run(working, c, id) })
		}
	}
	if err := operator.declare(ctx); err != nil {
		return nil, err
	}
	if err := r.strike(ctx, saved); err != nil {
		return nil, err
	}
	stopWork()
	work.Wait()
	r.told("all is well again; judging")
	report := r.report()
	for i, t := range r.tasks {
		if err := t.judge(ctx, clients[i], &report.Verdict); err != nil {
			return nil, fmt.Errorf("judge: %w", err)
		}
	}
	if r.opt.Plant == NoPlant {
		if err := saved.judge(ctx, r.opt.Binary, &report.Verdict); err != nil {
			return nil, fmt.Errorf("judge: %w", err)
		}
	}
	if !report.Good() {
		return report, ErrViolated
	}
	return report, nil
}

// strike lets both lanes run for the time, and waits until all is well.
func (r *run) strike(ctx context.Context, saved *backups) error {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Duration)
	defer cancel()
	var lanes sync.WaitGroup
	var errs [5]error
	goOn := func(i int, run func(context.Context) error) {
		lanes.Go(func() {
			if errs[i] = run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	for i, kinds := range map[int][]fault{0: crashes(), 1: troubles(), 4: downfalls()} {
		kinds = chosen(&r.opt, kinds)
		if len(kinds) == 0 {
			continue
		}
		l := &lane{
			stage: r.stage, rng: r.random(i), calm: r.opt.Calm, longest: r.opt.Hold, lose: r.opt.Lose, acks: r.ledger.acknowledged,
			kinds: kinds, first: first(&r.opt, kinds), told: r.told, counts: r.counts,
		}
		goOn(i, l.run)
	}
	if r.opt.Kinds == nil || slices.Contains(r.opt.Kinds, ringChange) {
		g := &changer{
			stage: r.stage, binary: r.opt.Binary, rng: r.random(2), calm: 2 * r.opt.Calm, least: r.opt.Nodes,
			told: r.told, counts: r.counts, next: r.opt.Nodes + 1,
		}
		for _, name := range r.opt.First {
			if slices.Contains(Changes(), name) {
				g.first = append(g.first, name)
			}
		}
		goOn(2, g.run)
	}
	if r.opt.Plant == NoPlant {
		goOn(3, saved.run)
	}
	<-ctx.Done()
	lanes.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return r.stage.waitHealthy(context.WithoutCancel(ctx))
}

func (r *run) random(lane int) *rand.Rand {
	return rand.New(rand.NewPCG(r.opt.Seed, uint64(lane)))
}

func (r *run) report() *Report {
	m := r.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	report := &Report{
		Seed: r.opt.Seed, Duration: r.opt.Duration, Servers: r.opt.Servers, Nodes: r.opt.Nodes, Notes: r.opt.notes,
		Operations: m.operations, Unknown: m.count[unknown], Refused: m.count[refused], Refusals: m.refusals,
		Faults: r.faults, Gap: m.gap, GapAt: m.gapAt, Strange: m.strange,
		Dir: r.opt.Dir, Repeat: r.opt.Repeat(),
	}
	report.Disks = r.stage.disks()
	return report
}
