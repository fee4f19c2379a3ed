package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
)

// ledger writes each object once, and keeps the book of what was acknowledged.
// A root belongs to one writer and each write creates an object, so the highest
// version in it is the number of writes that took effect.
type ledger struct {
	meter *meter

	acks [ledgerWriters]atomic.Int64

	mu    sync.Mutex
	roots []*page
}

// acknowledged counts each writer's acknowledged writes.
func (l *ledger) acknowledged() []int64 {
	out := make([]int64, ledgerWriters)
	for i := range out {
		out[i] = l.acks[i].Load()
	}
	return out
}

// page is a root with what was told about each of its objects.
type page struct {
	root   string
	writer int
	told   []told // under the ledger's mu while the writer runs
}

type told struct {
	outcome outcome
	version uint64
}

const (
	ledgerWriters = 4
	pageObjects   = 300
	valueEvery    = 10 // of so many objects one has its value read
)

// told counts what was told of each root so far.
func (l *ledger) told() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.roots))
	for _, pg := range l.roots {
		out[pg.root] = len(pg.told)
	}
	return out
}

func (l *ledger) clients() int { return ledgerWriters }

func (l *ledger) run(ctx context.Context, c *appclient.Client, id int) {
	w := l.meter.writer()
	defer w.ended()
	for n := 0; ctx.Err() == nil; n++ {
		pg := &page{root: fmt.Sprintf("ledger/%d/%d", id, n), writer: id}
		l.mu.Lock()
		l.roots = append(l.roots, pg)
		l.mu.Unlock()
		for i := 0; i < pageObjects && ctx.Err() == nil; i++ {
			var version uint64
			o := l.meter.do(ctx, func(ctx context.Context) (err error) {
				version, err = c.Root(pg.root).Put(ctx, objectName(i), value(pg.root, i))
				return err
			})
			if o == applied {
				w.acknowledged()
				l.acks[id].Add(1)
			}
			l.mu.Lock()
			pg.told = append(pg.told, told{o, version})
			l.mu.Unlock()
		}
	}
}

func objectName(i int) string { return fmt.Sprintf("%04d", i) }

func value(root string, i int) []byte { return fmt.Appendf(nil, "%s says %d", root, i) }

func (l *ledger) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	for _, pg := range l.roots {
		if err := pg.judge(ctx, c, v); err != nil {
			return err
		}
	}
	return nil
}

func (pg *page) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	there := make(map[string]uint64)
	var highest uint64
	for e, err := range c.Root(pg.root).List(ctx, appclient.ListOptions{}) {
		if err != nil {
			return fmt.Errorf("list %s: %w", pg.root, err)
		}
		there[e.Path] = e.Version
		highest = max(highest, e.Version)
	}
	if n := uint64(len(there)); highest > n {
		v.complain(&v.Doubled, int(highest-n), "root %s: %d writes took effect, but there are %d objects", pg.root, highest, n)
	}
	for i, t := range pg.told {
		version, present := there[objectName(i)]
		switch {
		case t.outcome == applied && !present:
			v.complain(&v.Lost, 1, "root %s: object %d was acknowledged with version %d and is not there", pg.root, i, t.version)
		case t.outcome == applied && version != t.version:
			v.complain(&v.Wrong, 1, "root %s: object %d was acknowledged with version %d and has %d", pg.root, i, t.version, version)
		case t.outcome == refused && present:
			v.complain(&v.Wrong, 1, "root %s: object %d was refused and is there", pg.root, i)
		case present && i%valueEvery == 0:
			if err := pg.judgeValue(ctx, c, i, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (pg *page) judgeValue(ctx context.Context, c *appclient.Client, i int, v *Verdict) error {
	o, err := c.Root(pg.root).Get(ctx, objectName(i))
	if err != nil {
		return fmt.Errorf("read %s, object %d: %w", pg.root, i, err)
	}
	if want := value(pg.root, i); string(o.Value) != string(want) {
		v.complain(&v.Wrong, 1, "root %s: object %d holds %.40q, want %q", pg.root, i, o.Value, want)
	}
	return nil
}
