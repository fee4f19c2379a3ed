package appclient

import (
	"context"
	"fmt"
	"math"

	"github.com/rosterdb/rosterdb/internal/op"
)

// counter names a counter object.
type counter struct{ root, path string }

// share is one caller's part of merged increments.
type share struct {
	delta int64
	write *call // that has it
	value int64 // the counter's after it
	err   error
	done  chan struct{} // capacity 1
	gone  bool          // its caller waits no longer
}

// maxShares is how many increments share a write (count).
const maxShares = 4096

// Increment adds delta, which may be negative, to the counter at path and returns
// its value after that. A counter is an object whose value is a decimal number;
// one that is absent counts as 0. An object that is no counter, and a sum beyond 64
// bits, are ErrConflict, with ConflictError.Counter.
//
// Increments of one counter by many callers of a client share one write while
// they wait for being sent, so that a hot counter costs little; each caller
// returns when the write that has its part is durable. Retries are exact, as for
// every write. Callers that share a write share its OpID.
// Errors: the write errors.
func (r Root) Increment(ctx context.Context, path string, delta int64) (value int64, err error) {
	e := r.c.engine
	if !r.op.IsZero() {
		return r.incrementAlone(ctx, path, delta)
	}
	if err := r.check(path); err != nil {
		return 0, r.wrap("increment in", err)
	}
	s := &share{delta: delta, done: make(chan struct{}, 1)}
	e.mu.Lock()
	if e.end != nil {
		err := e.end
		e.mu.Unlock()
		return 0, r.wrap("increment in", err)
	}
	e.join(counter{r.name, path}, s)
	work := len(e.dirty) > 0
	early := e.faults.mergedTooEarly
	e.mu.Unlock()
	if work {
		e.wake()
	}
	if early {
		return delta, nil
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		e.leaveShare(s, context.Cause(ctx))
	}
	if s.err != nil {
		return 0, r.wrap("increment in", s.err)
	}
	return s.value, nil
}

// incrementAlone increments under the caller's id, which nobody can share.
func (r Root) incrementAlone(ctx context.Context, path string, delta int64) (int64, error) {
	c, err := r.write(ctx, []Mutation{Add(path, delta)})
	if err != nil {
		return 0, err
	}
	value := c.wres.Items[0].Count
	r.c.engine.recycle(c)
	return value, nil
}

// join adds a share to the write of its counter that was not sent yet, or makes one.
func (e *engine) join(k counter, s *share) {
	e.stats.Operations++
	c := e.merging[k]
	if c != nil && len(c.shares) < maxShares && fits(c.write.Mutations[0].Delta, s.delta) {
		e.stats.Merged++
		c.write.Mutations[0].Delta += s.delta
		c.shares = append(c.shares, s)
		s.write = c
		return
	}
	e.merging[k] = e.alone(k, s)
}

// alone makes a write for a share.
func (e *engine) alone(k counter, s *share) *call {
	c := &call{kind: writeCall, part: e.parts[e.partitionOf(k.root)], shares: []*share{s}}
	s.write = c
	c.write.Root = k.root
	c.one[0] = op.Mutation{Kind: op.Add, Path: k.path, Delta: s.delta}
	c.write.Mutations = c.one[:]
	e.admit(c)
	return c
}

// fits says whether the sum of both is an int64.
func fits(a, b int64) bool {
	if b > 0 {
		return a <= math.MaxInt64-b
	}
	return a >= math.MinInt64-b
}

// closeMerge lets nobody join any more: the write is about to be sent.
func (e *engine) closeMerge(c *call) {
	k := counter{c.write.Root, c.write.Mutations[0].Path}
	if e.merging[k] == c {
		delete(e.merging, k)
	}
}

// leaveShare ends the wait for a share. A part of what was not sent yet is taken
// out of it; what was sent is carried on for the others.
func (e *engine) leaveShare(s *share, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := s.write
	if c.state == finished {
		return // answered at the last moment
	}
	waiting := 0
	for _, o := range c.shares {
		if !o.gone && o != s {
			waiting++
		}
	}
	switch {
	case waiting == 0:
		e.finish(c, e.gaveUp(c, cause))
	case c.tries == 0:
		s.err = e.gaveUp(c, cause)
		c.write.Mutations[0].Delta -= s.delta
		for i, o := range c.shares {
			if o == s {
				c.shares = append(c.shares[:i], c.shares[i+1:]...)
				break
			}
		}
	default:
		s.gone = true
		s.err = e.unknown(c, fmt.Errorf("%s: %w", e.missing(c), cause))
	}
}

// share tells each caller what became of its part, in the order in which they
// came.
func (e *engine) share(c *call) {
	e.closeMerge(c)
	err := c.err
	switch r := &c.wres; {
	case err != nil:
	case r.Code != op.OK && len(c.shares) > 1 && e.end == nil:
		// Perhaps the sum did not fit, and the parts do.
		for _, s := range c.shares {
			if !s.gone {
				e.alone(counter{c.write.Root, c.write.Mutations[0].Path}, s)
			}
		}
		return
	case r.Code != op.OK:
		err = conflict(c)
	case len(r.Items) != 1:
		err = e.unknown(c, fmt.Errorf("the answer has %d items for one mutation", len(r.Items)))
	}
	var value int64
	if err == nil {
		value = c.wres.Items[0].Count - c.write.Mutations[0].Delta
	}
	for _, s := range c.shares {
		value += s.delta
		if !s.gone {
			s.value, s.err = value, err
			s.done <- struct{}{}
		}
	}
}

// deserted says that some of the callers of merged increments have been told that
// the outcome is unknown.
func (c *call) deserted() bool {
	for _, s := range c.shares {
		if s.gone {
			return true
		}
	}
	return false
}
