package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

const (
	tryFor  = 20 * time.Second
	healthy = 2 * time.Minute
)

// measurement is a cluster with writers at work.
type measurement struct {
	opt     options
	cluster *devcluster.Cluster
	client  *appclient.Client
	stop    context.CancelFunc
	wg      sync.WaitGroup
	writers []*writer
}

// writer writes to its root, one write after the other.
type writer struct {
	root string

	mu      sync.Mutex
	last    time.Time     // of an acknowledgement
	longest time.Duration // gap since reset
	acks    int
	err     error
}

func newMeasurement(ctx context.Context, c *devcluster.Cluster, o options) (*measurement, error) {
	cfg, err := appclient.FromDev(c.File())
	if err != nil {
		return nil, err
	}
	m := &measurement{opt: o, cluster: c}
	if m.client, err = appclient.Dial(ctx, cfg); err != nil {
		return nil, err
	}
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	for i := range o.writers {
		w := &writer{root: fmt.Sprintf("failover/%d", i), last: time.Now()}
		m.writers = append(m.writers, w)
		m.wg.Go(func() { w.run(ctx, m.client, o.pace) })
	}
	return m, nil
}

func (m *measurement) close() {
	m.stop()
	m.wg.Wait()
	m.client.Close() //nolint:errcheck // never fails
}

func (m *measurement) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (w *writer) run(ctx context.Context, c *appclient.Client, pace time.Duration) {
	for n := 0; ctx.Err() == nil; n++ {
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryFor)
		_, err := c.Root(w.root).Put(try, "object", fmt.Append(nil, n))
		cancel()
		w.ended(err)
		time.Sleep(pace)
	}
}

func (w *writer) ended(err error) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.longest = max(w.longest, now.Sub(w.last))
	w.last, w.acks = now, w.acks+1
}

// reset begins a new measurement.
func (w *writer) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest, w.acks = 0, 0
}

// kill kills the leader of the first writer's partition, or a server, and returns when
// the cluster is whole again.
func (m *measurement) kill(ctx context.Context, i int) (result, error) {
	r := result{Killed: idOf(m.client.Where(m.writers[0].root).Leader)}
	if m.opt.kill == "server" {
		servers := m.cluster.Info().Servers
		r.Killed = servers[i%len(servers)].ID
	}
	for _, w := range m.writers {
		if idOf(m.client.Where(w.root).Leader) == r.Killed {
			r.Held++
		}
		w.reset()
	}
	if err := m.cluster.Kill(r.Killed); err != nil {
		return r, err
	}
	// Until all write again.
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	for !m.allWriteAgain() {
		if err := m.pause(ctx, 5*time.Millisecond); err != nil {
			return r, fmt.Errorf("writers are held up: %w", err)
		}
	}
	for _, w := range m.writers {
		w.mu.Lock()
		r.Longest = max(r.Longest, w.longest)
		err := w.err
		w.mu.Unlock()
		if err != nil {
			return r, fmt.Errorf("an error reached a writer: %w", err)
		}
	}
	if err := m.cluster.Restart(ctx, r.Killed); err != nil {
		return r, err
	}
	return r, m.cluster.WaitHealthy(ctx)
}

// enough acknowledgements of one writer show that it is past the kill: answers
// that were on their way when the node died are few.
const enough = 50

// allWriteAgain says whether all writers are past the kill.
func (m *measurement) allWriteAgain() bool {
	for _, w := range m.writers {
		w.mu.Lock()
		acks := w.acks
		w.mu.Unlock()
		if acks < enough {
			return false
		}
	}
	return true
}
