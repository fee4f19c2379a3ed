package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
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

// strike kills or freezes the leader of the first writer's partition, or a server, and returns when
// the cluster is whole again.
func (m *measurement) strike(ctx context.Context, i int) (result, error) {
	r := result{Killed: idOf(m.client.Where(m.writers[0].root).Leader), Frozen: m.opt.stop != ""}
	if m.opt.target() == "server" {
		servers := m.cluster.Info().Servers
		r.Killed = servers[i%len(servers)].ID
	}
	for _, w := range m.writers {
		if idOf(m.client.Where(w.root).Leader) == r.Killed {
			r.Held++
		}
		w.reset()
	}
	ctx, cancel := context.WithTimeout(ctx, healthy)
	defer cancel()
	blow := m.kill
	if r.Frozen {
		blow = m.freeze
	}
	if err := blow(ctx, r.Killed); err != nil {
		return r, err
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
	return r, nil
}

// kill kills a process, and starts it again when all write again.
func (m *measurement) kill(ctx context.Context, id string) error {
	if err := m.cluster.Kill(id); err != nil {
		return err
	}
	if err := m.awaitWriters(ctx); err != nil {
		return err
	}
	if err := m.cluster.Restart(ctx, id); err != nil {
		return err
	}
	return m.cluster.WaitHealthy(ctx)
}

// freeze stops a process for a while, and for longer if all do not write again by then. Its waking belongs to what is measured.
func (m *measurement) freeze(ctx context.Context, id string) error {
	if err := m.cluster.Signal(id, syscall.SIGSTOP); err != nil {
		return err
	}
	err := m.pause(ctx, m.opt.frozen)
	if err == nil {
		err = m.awaitWriters(ctx)
	}
	if err := errors.Join(err, m.cluster.Signal(id, syscall.SIGCONT)); err != nil {
		return err
	}
	if err := m.cluster.WaitHealthy(ctx); err != nil {
		return err
	}
	return m.awaitWriters(ctx)
}

// awaitWriters waits until each has been told enough from now on.
func (m *measurement) awaitWriters(ctx context.Context) error {
	for _, w := range m.writers {
		w.mu.Lock()
		w.acks = 0
		w.mu.Unlock()
	}
	for !m.allWriteAgain() {
		if err := m.pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("writers are held up: %w", err)
		}
	}
	return nil
}

// enough acknowledgements of one writer show that it is past the blow: answers
// that were on their way when it came are few.
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
