package state

import (
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
)

const (
	textUnknown = "the answer to this operation was given up; whether it was applied is no longer known"
	textBacklog = "many objects have expired and wait for their removal, which the revision will count; ask again"
	textWindow  = "too many operations of this session are unanswered; settle the oldest first"
)

// use finds the session of a write or a settle and marks it as used. Where it
// can't be used, code is not 0.
func (p *Partition) use(c *command) (s *session, code op.Code, text string) {
	now := p.pos.logTime
	p.sessions.expire(now - p.store.opt.SessionTTL.Milliseconds())
	s = p.sessions.byID[c.session]
	switch {
	case s == nil:
		return nil, op.SessionExpired, "open a new session"
	case c.owned && c.by != s.by && !p.store.opt.Faults.OwnerIgnored:
		return nil, op.Denied, "the session belongs to another account; open one of your own"
	case c.seq == 0 || c.floor > c.seq || c.seq > op.MaxSeq:
		return nil, op.Invalid, fmt.Sprintf("sequence %d with floor %d: sequences count from 1 and are not below their floor", c.seq, c.floor)
	}
	p.sessions.touch(s, now)
	s.raise(c.floor)
	if p.store.opt.Faults.FloorFalls {
		s.floor = c.floor
	}
	switch {
	case c.seq < s.floor && !p.store.opt.Faults.FloorIgnored:
		return nil, op.Unknown, textUnknown
	case c.seq > s.floor+op.MaxWindow:
		return nil, op.Unknown, textWindow
	}
	return s, 0, ""
}

// write answers from the dedupe table or executes the batch.
func (p *Partition) write(index uint64, c *command) (op.WriteResult, error) {
	faults := &p.store.opt.Faults
	s, code, text := p.use(c)
	if code != 0 {
		return op.WriteResult{Code: code, Text: text}, nil
	}
	if i, found := s.find(c.seq); found && !faults.NoDedupe {
		return s.results[i].answer(), nil
	}
	if err := c.check(); err != nil {
		return invalid(err), nil
	}
	if c.ifRoot && p.backlog && c.version >= countsAll && !faults.BacklogIgnored {
		return op.WriteResult{Code: op.Unavailable, Text: textBacklog}, nil
	}
	r, err := p.batch(index, c)
	if err != nil {
		return op.WriteResult{}, err
	}
	if r.code != op.Conflict || !faults.ConflictUnrecorded {
		p.record(s, r)
	}
	return r.answer(), nil
}

// record keeps an answer, and gives old ones of the same owner up where there are too many.
func (p *Partition) record(s *session, r result) {
	s.record(r)
	if !p.store.opt.Faults.AnswersUnbounded {
		p.sessions.bound(s.total, p.store.opt.MaxOwnerItems)
	}
}

// settle answers what became of a write. One that was not applied never will be:
// that is recorded in its place.
func (p *Partition) settle(c *command) op.WriteResult {
	s, code, text := p.use(c)
	if code != 0 {
		return op.WriteResult{Code: code, Text: text}
	}
	if i, found := s.find(c.seq); found {
		return s.results[i].answer()
	}
	r := result{seq: c.seq, code: op.NotApplied}
	if !p.store.opt.Faults.SettleUnrecorded {
		p.record(s, r)
	}
	return r.answer()
}
