package chaos

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
)

// complaints gather what clients find wrong while they run.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func (k *complaints) add(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, fmt.Sprintf(format, args...))
}

func (k *complaints) judge(v *Verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, text := range k.all {
		v.complain(&v.Wrong, 1, "%s", text)
	}
}

// scans go through all roots of a prefix, in many partitions, while each of those is
// written in batches of one object and a stamp. What a scan tells is in order, and of
// each root, which fits into one page, it tells a whole batch, not older than what
// was acknowledged before.
type scans struct {
	meter *meter
	acked [scanRoots]atomic.Uint64 // revision of the newest batch acknowledged
	wrong complaints
}

const (
	scanRoots   = 3
	scanObjects = 20 // a root, besides the stamp
	scanPrefix  = "scan/"
	scanStamp   = "stamp"
)

// clients: a writer for each root, and one that scans.
func (k *scans) clients() int { return scanRoots + 1 }

func (k *scans) run(ctx context.Context, c *appclient.Client, id int) {
	if id == scanRoots {
		for ctx.Err() == nil {
			k.scan(ctx, c)
		}
		return
	}
	w := k.meter.writer()
	defer w.ended()
	for n := 0; ctx.Err() == nil; n++ {
		var res *appclient.BatchResult
		if k.meter.do(ctx, func(ctx context.Context) (err error) {
			res, err = c.Root(fmt.Sprint(scanPrefix, id)).Batch(ctx,
				appclient.Put(objectName(n%scanObjects), fmt.Append(nil, n)), appclient.Put(scanStamp, fmt.Append(nil, n)))
			return err
		}) == applied {
			k.acked[id].Store(res.Revision)
			w.acknowledged()
		}
	}
}

// scanned is what a scan has told of a root.
type scanned struct{ stamp, newest uint64 } // versions

func (k *scans) scan(ctx context.Context, c *appclient.Client) {
	var least [scanRoots]uint64
	for i := range least {
		least[i] = k.acked[i].Load()
	}
	var all []*appclient.Object
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		all, err = scanAll(ctx, c, scanPrefix)
		return err
	}) == applied {
		k.check(all, least)
	}
}

// scanAll is all that a scan of a prefix tells.
func scanAll(ctx context.Context, c *appclient.Client, prefix string) (all []*appclient.Object, err error) {
	for o, err := range c.Scan(ctx, appclient.ScanOptions{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// check looks at what a scan told; least was acknowledged before it began.
func (k *scans) check(all []*appclient.Object, least [scanRoots]uint64) {
	for i := 1; i < len(all); i++ {
		if o, last := all[i], all[i-1]; cmp.Or(cmp.Compare(o.Root, last.Root), cmp.Compare(o.Path, last.Path)) <= 0 {
			k.wrong.add("a scan told %s %q behind %s %q", o.Root, o.Path, last.Root, last.Path)
		}
	}
	roots := byRoot(all)
	for i := range least {
		root := fmt.Sprint(scanPrefix, i)
		switch s := roots[root]; {
		case s.stamp < least[i]:
			k.wrong.add("a scan has version %d of %s; %d was acknowledged before", s.stamp, root, least[i])
		case s.stamp != s.newest:
			k.wrong.add("a scan has part of a batch of %s: the stamp's version is %d, the newest %d", root, s.stamp, s.newest)
		}
	}
}

func byRoot(all []*appclient.Object) map[string]scanned {
	roots := make(map[string]scanned)
	for _, o := range all {
		s := roots[o.Root]
		if o.Path == scanStamp {
			s.stamp = o.Version
		}
		s.newest = max(s.newest, o.Version)
		roots[o.Root] = s
	}
	return roots
}

func (k *scans) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	all, err := scanAll(ctx, c, scanPrefix)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	roots := byRoot(all)
	for i := range k.acked {
		root := fmt.Sprint(scanPrefix, i)
		if s, least := roots[root], k.acked[i].Load(); s.stamp < least {
			v.complain(&v.Lost, int(least-s.stamp), "root %s: version %d was acknowledged, and %d is there", root, least, s.stamp)
		}
	}
	return nil
}
