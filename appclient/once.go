package appclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// NewOp takes an id for one write of this root, before the write: record it,
// write with Root.WithOp, and after a crash ask Client.Status whether the write
// was applied, or write the same again under the same id: it is applied once.
//
// An id that is not used within ten minutes lapses. So that Status can tell,
// the store keeps what it knows of the last 256 ids of a partition, or more, for ten
// minutes; Client.Release lets it forget earlier.
// Errors: ErrUnavailable, ErrOverloaded, ErrInvalid, ErrDenied, ErrClosed.
func (r Root) NewOp(ctx context.Context) (OpID, error) {
	e := r.c.engine
	if err := op.CheckRoot(r.name); err != nil {
		return OpID{}, r.wrap("take an id for", fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	c := e.pool.Get().(*call)
	c.kind = reserveCall
	if err := e.do(ctx, c, e.partitionOf(r.name)); err != nil {
		e.recycle(c)
		return OpID{}, r.wrap("take an id for", err)
	}
	e.mu.Lock()
	id := e.id(c)
	e.mu.Unlock()
	e.recycle(c)
	return id, nil
}

// WithOp returns the root for one write under an id that NewOp gave, in this
// process or in one of the same account that has crashed. To write the same
// again is safe; to write something else is a mistake, which the store does not
// notice: it answers as to the first.
//
// The write's error is ErrUnknownOutcome wherever an earlier copy may have been
// applied, and ErrSettled when Status had decided that it never will be.
func (r Root) WithOp(id OpID) Root {
	r.op = id
	return r
}

// Release says that an id is no longer needed: the application has recorded what
// became of its write. Without it ids are kept for ten minutes.
func (c *Client) Release(id OpID) {
	e := c.engine
	if e.checkID(id, "") != nil {
		return
	}
	e.mu.Lock()
	p := e.parts[id.partition]
	p.find(id.session).release(id.seq)
	e.advance(p)
	work := len(e.dirty) > 0
	e.mu.Unlock()
	if work {
		e.wake()
	}
}

// useGiven sends a write under the id that its caller chose.
func (e *engine) useGiven(c *call) {
	s := c.part.find(c.write.Session)
	h := s.holds(c.write.Seq)
	switch {
	case s.foreign:
		c.maybe = true // its first owner may have sent it
	case h == nil:
		c.state = waitRetry
		e.finish(c, fmt.Errorf("%w: operation %s has lapsed or was released; take a new id", ErrInvalid, e.id(c)))
		return
	default:
		c.maybe = h.sent
	}
	c.ses = s
	e.route(c, nil)
}

// State is what became of a write.
type State uint8

// The states of a write.
const (
	// Forgotten: the store no longer knows, or never did.
	Forgotten State = iota
	// Applied: it was applied, once.
	Applied
	// Refused: a condition did not hold; it was not applied and never will be.
	Refused
	// NeverApplied: it was not applied and never will be, whatever copies of it
	// are still on their way.
	NeverApplied
)

// String names the state.
func (s State) String() string {
	switch s {
	case Applied:
		return "applied"
	case Refused:
		return "refused"
	case NeverApplied:
		return "never applied"
	}
	return "forgotten"
}

// Outcome is what became of a write.
type Outcome struct {
	State State
	// Result is what the write returned, or would have, if it was Applied.
	Result *BatchResult
	// Refusals are the versions that the objects whose conditions did not hold had
	// then, by the mutation's place in the batch; 0: there was none. For Refused.
	Refusals map[int]uint64
}

// Status settles what became of a write: one that ended with ErrUnknownOutcome,
// or one under an id of Root.NewOp. To ask is to decide: a write that was not
// applied when the question arrives never will be. So do not ask after a write
// whose call has not returned in a process that lives.
//
// The store can tell for ten minutes after the write ended, whatever else was
// written and also when the process that sent it is gone; later it may answer
// Forgotten. It may earlier where more than 256 writes of one partition end so within
// a minute, or when more than 4,096 clients opened sessions in it meanwhile.
// Only the account that wrote may ask.
// Errors: ErrUnavailable, ErrOverloaded, ErrInvalid, ErrDenied, ErrClosed. None
// of them settles anything; ask again.
func (c *Client) Status(ctx context.Context, id OpID) (*Outcome, error) {
	e := c.engine
	if err := e.checkID(id, ""); err != nil {
		return nil, fmt.Errorf("ask for a write's status: %w", err)
	}
	q := e.pool.Get().(*call)
	q.kind, q.settle = settleCall, op.Settle{Session: id.session, Seq: id.seq}
	if err := e.do(ctx, q, id.partition); err != nil {
		e.recycle(q)
		return nil, fmt.Errorf("ask for the status of %s: %w", id, err)
	}
	out := outcome(&q.wres)
	e.recycle(q)
	return out, nil
}

func outcome(r *op.WriteResult) *Outcome {
	switch r.Code {
	case op.OK:
		return &Outcome{State: Applied, Result: batchResult(r)}
	case op.Conflict:
		out := &Outcome{State: Refused, Refusals: make(map[int]uint64)}
		for i, it := range r.Items {
			if it.Code == op.Conflict || it.Code == op.Invalid {
				out.Refusals[i] = it.Version
			}
		}
		return out
	case op.NotApplied:
		return &Outcome{State: NeverApplied}
	}
	return &Outcome{State: Forgotten}
}

// OpOf returns the id of a write that ended with ErrUnknownOutcome.
func OpOf(err error) (OpID, bool) {
	var u *UnknownOutcomeError
	if errors.As(err, &u) && !u.Op.IsZero() {
		return u.Op, true
	}
	return OpID{}, false
}
