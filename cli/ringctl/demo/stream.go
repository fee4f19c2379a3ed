package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// plan is how much is written around the kill.
type plan struct {
	writers   int
	writes    int           // acknowledgements wanted
	killAt    int           // acknowledgements before the kill
	afterKill time.Duration // the stream goes on at least so long behind it
	limit     time.Duration // the stream ends then, whatever it has reached
}

// standard is the plan of a demo.
func standard() plan {
	return plan{writers: 32, writes: 10_000, killAt: 3_300, afterKill: 2 * time.Second, limit: 25 * time.Second}
}

const (
	streamRoots = 512                    // more than partitions, so that all of them are hit
	settle      = 100 * time.Millisecond // between two looks at the count
)

// ack is one acknowledged write.
type ack struct {
	key object
	at  time.Time
}

// ledger collects what writers were told. Each writer owns one.
type ledger struct {
	acks []ack
	errs []error
	gap  time.Duration // longest time between two acknowledgements of the writer
}

// streamResult is what the stream of writes came to.
type streamResult struct {
	acks       []ack
	errs       []error
	elapsed    time.Duration
	killed     time.Time
	longestGap time.Duration // of any one writer
	moved      int           // acknowledged after the kill in partitions that the dead node had led
}

// stream writes until enough is acknowledged; in its middle it calls kill.
// ledBefore holds the roots of the stream that the victim leads.
func stream(ctx context.Context, c *appclient.Client, pl plan, ledBefore map[string]bool, kill func() error) (*streamResult, error) {
	limit, cancel := context.WithTimeout(ctx, pl.limit)
	defer cancel()
	writing, stop := context.WithCancel(limit)
	defer stop()
	var count counter
	ledgers := make([]ledger, pl.writers)
	start := time.Now()
	var wg sync.WaitGroup
	for w := range ledgers {
		wg.Go(func() { ledgers[w].write(ctx, writing.Done(), c, w, pl.writers, &count) })
	}
	count.reach(limit, pl.killAt)
	killed := time.Now()
	err := kill()
	if err == nil {
		count.reach(limit, pl.writes)
		sleep(limit, time.Until(killed.Add(pl.afterKill)))
	}
	stop()
	wg.Wait()
	if err != nil {
		return nil, fmt.Errorf("kill a data node: %w", err)
	}
	r := &streamResult{elapsed: time.Since(start), killed: killed}
	for i := range ledgers {
		l := &ledgers[i]
		r.acks = append(r.acks, l.acks...)
		r.errs = append(r.errs, l.errs...)
		r.longestGap = max(r.longestGap, l.gap)
		for _, a := range l.acks {
			if a.at.After(killed) && ledBefore[a.key.root] {
				r.moved++
			}
		}
	}
	return r, ctx.Err()
}

// write puts one small object after the other until done.
func (l *ledger) write(ctx context.Context, done <-chan struct{}, c *appclient.Client, writer, writers int, count *counter) {
	last := time.Now()
	for seq := 0; ; seq++ {
		select {
		case <-done:
			return
		default:
		}
		key := streamKey(writer, writers, seq)
		opCtx, cancel := context.WithTimeout(ctx, opTimeout)
		_, err := c.Root(key.root).Put(opCtx, key.path, streamValue(key))
		cancel()
		now := time.Now()
		if err != nil {
			if ctx.Err() != nil {
				return // the demo was interrupted
			}
			l.errs = append(l.errs, fmt.Errorf("write %s to root %s: %w", key.path, key.root, err))
			continue
		}
		l.acks = append(l.acks, ack{key, now})
		l.gap = max(l.gap, now.Sub(last))
		last = now
		count.add()
	}
}

// streamKey spreads the writes of all writers over the roots.
func streamKey(writer, writers, seq int) object {
	return object{
		root: streamRoot(writer + seq*writers + seq*writers/streamRoots),
		path: fmt.Sprintf("writer %02d/%06d", writer, seq),
	}
}

func streamRoot(i int) string { return fmt.Sprintf("stream/%03d", i%streamRoots) }

func streamValue(key object) []byte {
	return fmt.Appendf(make([]byte, 0, 256), "%s %s %0200d", key.root, key.path, 0)
}

// counter counts acknowledgements of all writers.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

// reach waits until n are counted, or ctx ends.
func (c *counter) reach(ctx context.Context, n int) {
	for {
		c.mu.Lock()
		got := c.n
		c.mu.Unlock()
		if got >= n || !sleep(ctx, settle) {
			return
		}
	}
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// manifest returns the acknowledged writes with the bytes that must be there.
func (r *streamResult) manifest() *manifest {
	m := newManifest()
	for _, a := range r.acks {
		m.add(a.key.root, []pending{{path: a.key.path, value: streamValue(a.key)}})
	}
	return m
}

// chooseVictim returns the data node that leads most of the stream's roots, as
// the client sees it, and those roots.
func chooseVictim(c *appclient.Client) (jid string, roots map[string]bool) {
	led := make(map[string]map[string]bool)
	for i := range streamRoots {
		root := streamRoot(i)
		leader := c.Where(root).Leader
		if led[leader] == nil {
			led[leader] = make(map[string]bool)
		}
		led[leader][root] = true
		if len(led[leader]) > len(roots) {
			jid, roots = leader, led[leader]
		}
	}
	return jid, roots
}
