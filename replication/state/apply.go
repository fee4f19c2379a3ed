package state

import (
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// Apply applies the entry's command and returns its result. It is
// deterministic: the same entries give the same state and results on every
// replica. cmd is kept until it is flushed and must not be changed; an empty
// cmd is Raft's no-op entry. An entry at or below the applied position changes
// nothing and is answered Unknown. Entries must come without gaps; those that
// carry a configuration go to SetConf. When the store is dead (see
// Options.OnFatal) the answer is Unavailable and the position stands still.
func (p *Partition) Apply(index, term uint64, cmd []byte) op.WriteResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case index <= p.pos.index:
		return op.WriteResult{Code: op.Unknown, Text: "this entry was applied before"}
	case index != p.pos.index+1 && p.pos.index != 0:
		return p.dead(fmt.Errorf("partition %d: entry %d does not follow the applied one, %d", p.id, index, p.pos.index))
	}
	if err := p.store.Err(); err != nil {
		return p.dead(err)
	}
	var res op.WriteResult
	if len(cmd) > 0 {
		before := p.active.bytes
		var err error
		if res, err = p.execute(index, cmd); err != nil {
			return p.dead(fmt.Errorf("partition %d: apply entry %d: %w", p.id, index, err))
		}
		p.store.dirty.Add(p.active.bytes - before)
	} else {
		res.Code = op.OK
	}
	p.pos.index, p.pos.term = index, term
	return res
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
	p.pos.logTime = max(p.pos.logTime, c.now)
	switch c.kind {
	case kindOpen:
		return p.open(index, c), nil
	case kindRing:
		return p.setRing(c), nil
	}
	return p.write(c)
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
	if len(t.byID) >= opt.MaxSessions {
		old := t.leastRecent()
		if now-old.used < opt.SessionGrace.Milliseconds() {
			return op.WriteResult{Code: op.Unavailable, Text: fmt.Sprintf(
				"partition has %d sessions in use; close clients or wait %s", len(t.byID), opt.SessionGrace)}
		}
		t.drop(old)
	}
	s := &session{id: op.Session(index), owner: string(c.owner), floor: 1}
	t.byID[s.id] = s
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

// write answers from the dedupe table or executes the batch.
func (p *Partition) write(c *command) (op.WriteResult, error) {
	faults := &p.store.opt.Faults
	now := p.pos.logTime
	p.sessions.expire(now - p.store.opt.SessionTTL.Milliseconds())
	s := p.sessions.byID[c.session]
	switch {
	case s == nil:
		return op.WriteResult{Code: op.SessionExpired, Text: "open a new session"}, nil
	case c.seq == 0 || c.floor > c.seq:
		return invalid(fmt.Errorf("sequence %d with floor %d: sequences count from 1 and are not below their floor", c.seq, c.floor)), nil
	}
	p.sessions.touch(s, now)
	s.raise(c.floor)
	switch {
	case c.seq < s.floor && !faults.FloorIgnored:
		return op.WriteResult{Code: op.Unknown, Text: "the answer to this operation was given up; whether it was applied is no longer known"}, nil
	case c.seq > s.floor+op.MaxWindow:
		return op.WriteResult{Code: op.Unknown, Text: "too many operations of this session are unanswered; settle the oldest first"}, nil
	}
	if i, found := s.find(c.seq); found && !faults.NoDedupe {
		return s.results[i].answer(), nil
	}
	if err := c.check(); err != nil {
		return invalid(err), nil
	}
	r, err := p.batch(c)
	if err != nil {
		return op.WriteResult{}, err
	}
	if r.code != op.Conflict || !faults.ConflictUnrecorded {
		s.record(r)
	}
	return r.answer(), nil
}

// batch evaluates all conditions, then applies all mutations or none.
func (p *Partition) batch(c *command) (result, error) {
	l := &p.stored
	defer l.done()
	revision, err := l.revision(c.root)
	if err != nil {
		return result{}, err
	}
	r := result{seq: c.seq, code: op.OK, revision: revision, items: make([]op.Item, len(c.muts))}
	for i := range c.muts {
		m := &c.muts[i]
		r.items[i].Code = op.OK
		if m.cond == op.Always && m.kind == op.Put {
			continue
		}
		version, err := l.version(c.root, m.path)
		if err != nil {
			return result{}, err
		}
		r.items[i].Version = version
		if !m.holds(version) {
			r.items[i].Code = op.Conflict
			r.code = op.Conflict
		}
	}
	if r.code == op.Conflict {
		return p.refused(c, r)
	}
	r.revision++
	p.put(c, &r)
	return r, nil
}

// holds evaluates the condition; version is 0 where there is no object.
func (m *mutation) holds(version uint64) bool {
	switch m.cond {
	case op.Absent:
		return version == 0
	case op.Present:
		return version != 0
	case op.VersionIs:
		return version == m.version
	}
	return true
}

// refused completes the items of a refused batch with the versions that are.
func (p *Partition) refused(c *command, r result) (result, error) {
	for i := range c.muts {
		version, err := p.stored.version(c.root, c.muts[i].path)
		if err != nil {
			return result{}, err
		}
		r.items[i].Version = version
	}
	return r, nil
}

// put applies the mutations; items hold the versions so far where known.
func (p *Partition) put(c *command, r *result) {
	change := p.active.setRevision(c.root, r.revision)
	p.keybuf = append(append(p.keybuf[:0], c.root...), 0)
	for i := range c.muts {
		m, item := &c.muts[i], &r.items[i]
		key := append(p.keybuf, m.path...)
		p.keybuf = key[:len(c.root)+1]
		if m.kind == op.Put {
			item.Version = r.revision
			p.active.set(change, key, object{version: r.revision, refs: m.refs, value: m.value})
			continue
		}
		if item.Version == 0 {
			item.Code = op.NotFound
			continue
		}
		item.Version = 0
		p.active.set(change, key, object{deleted: true})
	}
}
