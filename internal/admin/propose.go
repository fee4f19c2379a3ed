package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/ring"
)

// Errors of Propose and Edit.
var (
	// ErrRingChanged: the ring is not the one that the document was made from;
	// surely nothing was changed.
	ErrRingChanged = errors.New("the ring has changed since")
	// ErrRefused: the document is not acceptable; surely nothing was changed.
	ErrRefused = errors.New("the ring document was refused")
	// ErrUnknown: the answer was lost, and the ring has moved on since. Look at it.
	ErrUnknown = errors.New("it is not known whether the ring was changed; look at `ringctl progress`")
)

// proposePause is the time between two tries while there is no leader.
const proposePause = 50 * time.Millisecond

// Propose makes next, which has the epoch after that of the ring it was made
// from, the ring. It returns when a majority of the meta group has it on disk.
// The leader is found, and waited for until ctx ends. Errors: ErrRingChanged,
// ErrRefused, ErrUnknown, ErrNotOperator, or ctx's with the last failure.
func (c *Client) Propose(ctx context.Context, next *ring.Document) error {
	b, err := ring.Encode(next)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	p := proposal{next: next, encoded: b, ringFrom: c.ringFrom, ask: func(ctx context.Context, jid string) (told adminxml.Proposed, err error) {
		err = c.ask(ctx, jid, "set", adminxml.CmdPropose, string(b), &told)
		return told, err
	}}
	if err := p.run(ctx); err != nil {
		return err
	}
	c.nodes.members(next)
	return nil
}

// proposal is a document on its way to the leader of the meta group.
type proposal struct {
	next     *ring.Document
	encoded  []byte
	ask      func(ctx context.Context, jid string) (adminxml.Proposed, error)
	ringFrom func(ctx context.Context, epoch uint64) (*ring.Document, error)

	leader string // full JID of whom to ask next; "": the next member
	lost   bool   // an answer was lost: the document may be the ring already
	last   error  // why it is not yet
}

func (p *proposal) run(ctx context.Context) error {
	group := p.next.ReplicasOf(ring.MetaPartition)
	for i := 0; ; i++ {
		jid := p.leader
		if p.leader = ""; jid == "" {
			jid = group[i%len(group)].JID
		}
		if done, err := p.once(ctx, jid); done {
			return err
		}
		if p.leader != "" && i < 2*len(group) {
			continue // at once, but not for ever
		}
		select {
		case <-ctx.Done():
			if p.lost {
				return fmt.Errorf("%w: %w", ErrUnknown, p.last)
			}
			return fmt.Errorf("no leader of the ring's group took the document: %w; the last answer: %w", context.Cause(ctx), p.last)
		case <-time.After(proposePause):
		}
	}
}

// once asks one member; done says that there is nothing more to ask.
func (p *proposal) once(ctx context.Context, jid string) (done bool, err error) {
	told, err := p.ask(ctx, jid)
	switch {
	case isCondition(err, "forbidden"):
		return true, fmt.Errorf("%w: %w", ErrNotOperator, err)
	case err != nil:
		p.last, p.lost = err, p.lost || maybeDone(err)
		return false, nil
	}
	switch told.Outcome {
	case adminxml.OutcomeOK:
		return true, nil
	case adminxml.OutcomeInvalid:
		return true, fmt.Errorf("%w: %s", ErrRefused, told.Text)
	case adminxml.OutcomeConflict:
		if p.lost {
			return true, p.afterAll(ctx)
		}
		return true, fmt.Errorf("%w: it has epoch %d now, and this was made from epoch %d", ErrRingChanged, told.Epoch, p.next.Epoch-1)
	case adminxml.OutcomeUnknown:
		p.last, p.lost = errors.New(told.Text), true
	default:
		p.last, p.leader = fmt.Errorf("%s: %s", jid, told.Text), told.Leader
	}
	return false, nil
}

// maybeDone says whether a question without an answer may have had an effect:
// an error stanza is an answer.
func maybeDone(err error) bool {
	for _, condition := range []string{
		"service-unavailable", "recipient-unavailable", "item-not-found", "resource-constraint",
		"bad-request", "feature-not-implemented", "remote-server-not-found", "policy-violation",
	} {
		if isCondition(err, condition) {
			return false
		}
	}
	return true
}

// afterAll says whether a document whose answer was lost has become the ring.
func (p *proposal) afterAll(ctx context.Context) error {
	doc, err := p.ringFrom(ctx, p.next.Epoch)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case doc.Epoch > p.next.Epoch:
		return ErrUnknown
	}
	if b, err := ring.Encode(doc); err == nil && bytes.Equal(b, p.encoded) {
		return nil
	}
	return fmt.Errorf("%w: somebody else's document has epoch %d", ErrRingChanged, doc.Epoch)
}

// ringFrom fetches a ring of that epoch or a later one, waiting for it until ctx
// ends.
func (c *Client) ringFrom(ctx context.Context, epoch uint64) (*ring.Document, error) {
	for {
		doc, err := c.Ring(ctx)
		if err == nil && doc.Epoch >= epoch {
			return doc, nil
		}
		if err == nil {
			err = fmt.Errorf("the nodes online know the ring of epoch %d, %d is wanted", doc.Epoch, epoch)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(proposePause):
		}
	}
}

// Edit changes the ring as edit says, which gets the ring of now and returns what
// follows it, or nil when nothing is to be done. It is called again when the ring
// has changed meanwhile. It returns the ring that came of it. Errors: those of
// edit and of Propose but ErrRingChanged.
func (c *Client) Edit(ctx context.Context, edit func(*ring.Document) (*ring.Document, error)) (*ring.Document, error) {
	doc, err := c.Ring(ctx)
	for {
		if err != nil {
			return nil, err
		}
		next, err := edit(doc)
		if err != nil || next == nil {
			return doc, err
		}
		if err := doc.CheckEdit(next); err != nil { // it may be too large to be sent
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		err = c.Propose(ctx, next)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, ErrRingChanged) {
			return nil, err
		}
		if doc, err = c.ringFrom(ctx, doc.Epoch+1); err != nil {
			return nil, err
		}
	}
}

// Resolve finds data nodes by the name of their account or by JID, among the
// ring's members and those that are announced by roster or presence. It returns
// full JIDs. Errors: no such node, or several of that name.
func (c *Client) Resolve(doc *ring.Document, names []string) ([]string, error) {
	known := make([]string, 0, len(doc.Members))
	for _, m := range doc.Members {
		known = append(known, m.JID)
	}
	for _, v := range c.Nodes() {
		if !slices.Contains(known, v.JID) {
			known = append(known, v.JID)
		}
	}
	return resolve(known, names)
}
