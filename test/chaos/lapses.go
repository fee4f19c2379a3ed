package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// lapses write objects that live for a short or a long time. The short-lived end, and
// what has ended does not come back; the others stay.
type lapses struct {
	meter  *meter
	within time.Duration // an end that is due may take, when all is well
	each   [lapseClients][]lapse
	wrong  complaints
}

// lapse is an object that was acknowledged.
type lapse struct {
	path string
	long bool
	gone bool // a read did not find it
}

const (
	lapseClients = 2
	shortLife    = 1500 * time.Millisecond
	longLife     = 24 * time.Hour
)

func (k *lapses) clients() int { return lapseClients }

func lapseRoot(i int) string { return fmt.Sprintf("lapse/%d", i) }

func (k *lapses) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(8, uint64(id)))
	root := c.Root(lapseRoot(id))
	for n := 0; ctx.Err() == nil; n++ {
		l := lapse{path: fmt.Sprint(n), long: n%8 == 0}
		life := shortLife
		if l.long {
			life = longLife
		}
		if k.meter.do(ctx, func(ctx context.Context) error {
			_, err := root.Put(ctx, l.path, []byte(l.path), appclient.WithTTL(life))
			return err
		}) == applied {
			k.each[id] = append(k.each[id], l)
		}
		// One of the latest, which may just be ending, or any.
		if all := k.each[id]; len(all) > 0 {
			i := len(all) - 1 - rng.IntN(min(len(all), 400))
			k.look(ctx, root, &all[i])
		}
	}
}

func (k *lapses) look(ctx context.Context, root appclient.Root, l *lapse) {
	found := false
	if k.meter.do(ctx, func(ctx context.Context) error {
		_, err := root.Get(ctx, l.path)
		found = err == nil
		return err
	}) == applied {
		k.check(root.Name(), l, found)
	}
}

// check looks at what a read told.
func (k *lapses) check(root string, l *lapse, found bool) {
	switch {
	case found && l.gone:
		k.wrong.add("root %s: %s is there again after its end", root, l.path)
	case !found && l.long:
		k.wrong.add("root %s: %s, which lives for %s, is not there", root, l.path, longLife)
	}
	l.gone = l.gone || !found
}

func (k *lapses) judge(ctx context.Context, c *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	for id := range k.each {
		root := c.Root(lapseRoot(id))
		there := make(map[string]bool)
		for e, err := range root.List(ctx, appclient.ListOptions{}) {
			if err != nil {
				return fmt.Errorf("list %s: %w", root.Name(), err)
			}
			there[e.Path] = true
		}
		var last *lapse
		for i := range k.each[id] {
			l := &k.each[id][i]
			switch {
			case l.long && !there[l.path]:
				v.complain(&v.Lost, 1, "root %s: %s was acknowledged for %s and is not there", root.Name(), l.path, longLife)
			case l.gone && there[l.path]:
				v.complain(&v.Wrong, 1, "root %s: %s is there again after its end", root.Name(), l.path)
			case !l.long:
				last = l
			}
		}
		if last == nil {
			continue
		}
		ended, err := endsWithin(ctx, root, last.path, k.within)
		if err != nil {
			return err
		}
		if !ended {
			v.complain(&v.Wrong, 1, "root %s: %s, which lives for %s, does not end", root.Name(), last.path, shortLife)
		}
	}
	return nil
}

// endsWithin waits until an object is not there any more.
func endsWithin(ctx context.Context, root appclient.Root, path string, most time.Duration) (bool, error) {
	for end := time.Now().Add(most); time.Now().Before(end); {
		_, err := root.Get(ctx, path)
		if errors.Is(err, appclient.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s %q: %w", root.Name(), path, err)
		}
		time.Sleep(50 * time.Millisecond) // the pause of a poll
	}
	return false, nil
}
