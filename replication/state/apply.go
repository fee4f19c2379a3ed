package state

import (
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// Apply applies the entry's command and returns its result. It is
// deterministic: the same entries give the same state and results on every
// replica. cmd is kept until it is flushed and must not be changed; an empty
// cmd is Raft's no-op entry. An entry at or below the applied position changes
// nothing and is answered Unknown. Entries must come without gaps; those that
// carry a configuration go to SetConf. Where a stored record that it needs is
// damaged the answer is Retry, the position stands still and Damaged says why.
// When the store is dead (see
// Options.OnFatal) the answer is Unavailable and the position stands still.
func (p *Partition) Apply(index, term uint64, cmd []byte) op.WriteResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scratch = p.store.scratches.Get().(*scratch)
	defer p.putScratch()
	switch {
	case index <= p.pos.index && !p.store.opt.Faults.AppliedAgain:
		return op.WriteResult{Code: op.Unknown, Text: "this entry was applied before"}
	case p.damaged != nil && p.store.Err() == nil:
		return p.broken() // also where an entry before it could not be applied
	case index > p.pos.index+1 && p.pos.index != 0:
		return p.dead(fmt.Errorf("partition %d: entry %d does not follow the applied one, %d", p.id, index, p.pos.index))
	}
	if err := p.store.Err(); err != nil {
		return p.dead(err)
	}
	var res op.WriteResult
	if len(cmd) > 0 {
		before := p.active.bytes
		var err error
		err = p.store.guard(func() error {
			res, err = p.execute(index, cmd)
			return err
		})
		if errors.Is(err, ErrCorrupt) && p.store.Err() == nil {
			p.damage(fmt.Errorf("apply entry %d: %w", index, err))
			return p.broken()
		}
		if err != nil {
			return p.dead(fmt.Errorf("partition %d: apply entry %d: %w", p.id, index, err))
		}
		p.store.dirty.Add(p.active.bytes - before)
	} else {
		res.Code = op.OK
	}
	p.pos.index, p.pos.term = index, term
	if len(cmd) > 0 && p.cmd.kind == kindScrub {
		p.scrubAt()
		res.Revision = index
	}
	return res
}

// scratch is what Apply works with. It goes from one partition to the next: if each had
// its own, no cache would hold it.
type scratch struct {
	cmd     command // decoded into again and again
	befores []before
	keybuf  []byte
	members []membership
}

func (p *Partition) putScratch() {
	p.store.scratches.Put(p.scratch)
	p.scratch = nil
}

func (p *Partition) dead(err error) op.WriteResult {
	err = p.store.fail(err)
	return op.WriteResult{Code: op.Unavailable, Text: "this replica has stopped: " + err.Error()}
}

// execute runs a command. An error means that this replica can't tell what its
// peers will find, because its own disk is damaged.
func (p *Partition) execute(index uint64, cmd []byte) (op.WriteResult, error) {
	c := &p.cmd
	if err := c.decode(cmd); err != nil {
		return invalid(err), nil
	}
	untouched := p.untouched()
	p.indexed = 0
	now := max(p.pos.logTime, c.now)
	if late := p.store.opt.Faults.CutTooLate; len(p.cuts) > 0 && !late {
		p.reachCuts(now)
	} else if late {
		defer p.reachCuts(now)
	}
	p.pos.logTime = now
	if c.owned {
		p.history.start(index, untouched)
	}
	defer p.stored.done()
	if err := p.expire(index); err != nil {
		return op.WriteResult{}, err
	}
	if p.indexes.working && (c.kind == kindTick || index%stepEvery == 0) {
		if err := p.step(index); err != nil {
			return op.WriteResult{}, err
		}
	}
	switch c.kind {
	case kindIndexes:
		return p.setIndexes(c), nil
	case kindOpen:
		return p.open(index, c), nil
	case kindRing:
		return p.setRing(c), nil
	case kindSettle:
		return p.settle(c), nil
	case kindTick, kindScrub:
		return op.WriteResult{Code: op.OK}, nil
	}
	return p.write(index, c)
}

func invalid(err error) op.WriteResult {
	return op.WriteResult{Code: op.Invalid, Text: err.Error()}
}

// open makes a session numbered by its entry, so the number never comes again.
func (p *Partition) open(index uint64, c *command) op.WriteResult {
	if len(c.owner) == 0 || len(c.owner) > maxOwner {
		return invalid(fmt.Errorf("owner of a session is empty or longer than %d bytes", maxOwner))
	}
	t, opt, now := &p.sessions, &p.store.opt, p.pos.logTime
	t.expire(now - opt.SessionTTL.Milliseconds())
	if c.version >= countsAll && !opt.Faults.OwnersUncounted {
		old, wait := t.place(string(c.owner), now, opt)
		if wait > 0 {
			return op.WriteResult{Code: op.Overloaded, RetryAfter: wait, Text: fmt.Sprintf(
				"this account has %d sessions in use in the partition; use those that there are, or wait until one was unused for %s", opt.MaxOwnerSessions, opt.SessionGrace)}
		}
		if old != nil {
			t.drop(old)
		}
	}
	if len(t.byID) >= opt.MaxSessions {
		old := t.leastRecent()
		if now-old.used < opt.SessionGrace.Milliseconds() {
			return op.WriteResult{Code: op.Unavailable, Text: fmt.Sprintf(
				"partition has %d sessions in use; close clients or wait %s", len(t.byID), opt.SessionGrace)}
		}
		t.drop(old)
	}
	s := &session{id: op.Session(index), owner: string(c.owner), floor: 1}
	s.by = OwnerOf(s.owner)
	t.add(s)
	t.touch(s, now)
	return op.WriteResult{Code: op.OK, Session: s.id}
}

func (p *Partition) setRing(c *command) op.WriteResult {
	if p.id != ring.MetaPartition {
		return invalid(fmt.Errorf("partition %d holds no ring document", p.id))
	}
	if c.epoch != p.ring.epoch {
		return op.WriteResult{Code: op.Conflict, Revision: p.ring.epoch, Text: "the ring has changed; look at it and decide again"}
	}
	p.ring = ringDoc{epoch: c.epoch + 1, doc: c.doc}
	p.ringNew = true
	return op.WriteResult{Code: op.OK, Revision: p.ring.epoch}
}
