package chaos

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
)

// pairs are roots of one partition that a writer raises one after the other: the last in the order of their names, the
// first, the second. So at any moment the second has no more than the first, and that no more than the last. A page of a
// scan is of one moment, and later pages are of later ones; between the second and the last lie values that do not fit
// one page. Hence that is how a scan has to tell it.
type pairs struct {
	meter *meter
	acked atomic.Uint64   // of all three
	there [pairLarge]bool // large values that were acknowledged
	wrong complaints
}

const (
	pairPrefix = "pair/"
	pairLarge  = 6
	largeBytes = 100 << 10
	largeEvery = 40 // rounds between two writes of a large value
)

// clients: a writer, and one that scans.
func (k *pairs) clients() int { return 2 }

// pairRoots are the names, in order: cause, effect, those of large values, the last.
func pairRoots(c *appclient.Client) (names []string) {
	home := c.Where(pairPrefix + "0").Partition
	for i := 0; len(names) < pairLarge+3; i++ {
		name := fmt.Sprintf("%s%d-%d", pairPrefix, len(names), i)
		if c.Where(name).Partition == home {
			names = append(names, name)
		}
	}
	return names
}

// large is the n-th large value: made of that number only.
func large(n uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%019d\n", n), largeBytes/20)
}

func (k *pairs) run(ctx context.Context, c *appclient.Client, id int) {
	if id == 1 {
		for ctx.Err() == nil {
			k.scan(ctx, c)
		}
		return
	}
	names := pairRoots(c)
	cause, effect, last := names[0], names[1], names[len(names)-1]
	versions := make(map[string]uint64)
	w := k.meter.writer()
	defer w.ended()
	for n := uint64(1); ; n++ {
		for _, name := range []string{last, cause, effect} {
			if !k.raise(ctx, c.Root(name), versions, n) {
				return
			}
		}
		w.acknowledged()
		k.acked.Store(n)
		if n%largeEvery == 1 {
			i := int(n/largeEvery) % pairLarge
			o := k.meter.do(ctx, func(ctx context.Context) error {
				_, err := c.Root(names[2+i]).Put(ctx, "", large(n))
				return err
			})
			k.there[i] = k.there[i] || o == applied
		}
	}
}

// raise brings a root to n and says so, or ctx has ended. It compares versions, so that a write of unknown outcome that
// comes late takes nothing back.
func (k *pairs) raise(ctx context.Context, root appclient.Root, versions map[string]uint64, n uint64) bool {
	for ctx.Err() == nil {
		var have uint64
		if k.meter.do(ctx, func(ctx context.Context) error {
			version, err := root.CompareAndSwap(ctx, "", versions[root.Name()], fmt.Append(nil, n))
			if err == nil {
				have, versions[root.Name()] = n, version
			}
			return err
		}) != applied {
			k.meter.do(ctx, func(ctx context.Context) (err error) {
				have, versions[root.Name()], err = readCounter(ctx, root)
				return err
			})
		}
		if have == n {
			return true
		}
	}
	return false
}

func (k *pairs) scan(ctx context.Context, c *appclient.Client) {
	least := k.acked.Load()
	var all []*appclient.Object
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		all, err = scanAll(ctx, c, pairPrefix)
		return err
	}) == applied {
		k.check(all, pairRoots(c), least)
	}
}

// check looks at what a scan told; least was acknowledged before it began.
func (k *pairs) check(all []*appclient.Object, names []string, least uint64) {
	told := make(map[string]uint64)
	for _, o := range all {
		line, _, _ := bytes.Cut(o.Value, []byte("\n"))
		n, err := strconv.ParseUint(string(line), 10, 64)
		if large := large(n); err != nil || len(o.Value) > len(line) && !bytes.Equal(o.Value, large) {
			k.wrong.add("a scan told %d bytes of %s that nobody wrote so: %.40q", len(o.Value), o.Root, o.Value)
		}
		told[o.Root] = n
	}
	cause, effect, last := told[names[0]], told[names[1]], told[names[len(names)-1]]
	switch {
	case effect > cause:
		k.wrong.add("a scan told an effect, %d, without its cause, %d, in one page", effect, cause)
	case cause > last:
		k.wrong.add("a scan told %d in a page, and %d, which was before that, in a later one", cause, last)
	case min(cause, effect) < least:
		k.wrong.add("a scan told %d and %d; %d was acknowledged before", cause, effect, least)
	}
}

func (k *pairs) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	all, err := scanAll(ctx, c, pairPrefix)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	end := &pairs{}
	end.check(all, pairRoots(c), k.acked.Load())
	end.wrong.judge(v)
	told := make(map[string]bool)
	for _, o := range all {
		told[o.Root] = true
	}
	for i, name := range pairRoots(c)[2 : 2+pairLarge] {
		if k.there[i] && !told[name] {
			v.complain(&v.Lost, 1, "root %s was acknowledged and is not there", name)
		}
	}
	return nil
}
