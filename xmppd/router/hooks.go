package router

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// hooks is what modules have added, sorted by what it is called for. It is complete before the
// first stanza.
type hooks struct {
	marks    session.Interests
	all      []*module.Extension
	names    []string            // of their modules
	sent     []*module.Extension // StanzaSent
	message  []*module.Extension // MessageSent
	received []*module.Extension // MessageReceived
	after    []*module.Extension // MessageDelivered
	gates    []*module.Extension // Blocks
	waiting  []*module.Extension // MessageDue

	// Marks of the modules that want to see stanzas of a kind, of their senders and receivers.
	fromMessage, fromIQ, toMessage, toIQ uint32
	fromAny                              uint32 // StanzaSent alone
}

func (h *hooks) add(name string, m module.Extender) (*module.Extension, error) {
	mark, ok := h.marks.Next()
	if !ok {
		return nil, fmt.Errorf("module %s: there are more modules with hooks than the server can tell apart", name)
	}
	e := &module.Extension{Interest: mark}
	m.Extend(e)
	h.all, h.names = append(h.all, e), append(h.names, name)
	bits := mark.Bits()
	if e.StanzaSent != nil {
		h.sent = append(h.sent, e)
		h.fromAny |= bits
		h.fromMessage |= bits
		h.fromIQ |= bits
	}
	if e.MessageSent != nil {
		h.message = append(h.message, e)
		h.fromMessage |= bits
	}
	if e.MessageReceived != nil {
		h.received = append(h.received, e)
		h.toMessage |= bits
	}
	if e.MessageDelivered != nil {
		h.after = append(h.after, e)
		h.toMessage |= bits
	}
	if e.MessageDue != nil {
		h.waiting = append(h.waiting, e)
		h.toMessage |= bits
	}
	if e.Blocks != nil {
		h.gates = append(h.gates, e)
		h.fromMessage |= bits
		h.fromIQ |= bits
		h.toMessage |= bits
		h.toIQ |= bits
	}
	return e, nil
}

// concerned reports whether a module wants to see a stanza between two accounts.
func (h *hooks) concerned(kind stanza.Kind, from, to *session.User) bool {
	if kind == stanza.Message {
		return h.fromMessage&from.Interest()|h.toMessage&to.Interest() != 0
	}
	return h.fromIQ&from.Interest()|h.toIQ&to.Interest() != 0
}

// marked reports whether a module has an interest in an account.
func marked(e *module.Extension, u *session.User) bool { return e.Interest.Bits()&u.Interest() != 0 }

// sent runs the hooks of the sender. An error stops the stanza.
func (r *Router) sent(ctx context.Context, p *module.Passage) error {
	u := p.Src.User()
	for _, e := range r.hooks.sent {
		if marked(e, u) {
			if err := e.StanzaSent(ctx, p); err != nil {
				return err
			}
		}
	}
	if err := r.maySend(ctx, p); err != nil {
		return err
	}
	if p.Stanza.Kind != stanza.Message {
		return nil
	}
	for _, e := range r.hooks.message {
		if marked(e, u) {
			if err := e.MessageSent(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// received runs the hooks of an account that is about to get a message.
func (r *Router) received(ctx context.Context, owner stanza.JID, u *session.User, p *module.Passage) error {
	for _, e := range r.hooks.received {
		if marked(e, u) {
			if err := e.MessageReceived(ctx, owner, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// due asks the modules that keep messages whether one has to wait behind others; true if one of them
// takes care of it.
func (r *Router) due(ctx context.Context, owner stanza.JID, u *session.User, p *module.Passage) bool {
	if !ordered(p) {
		return false
	}
	for _, e := range r.hooks.waiting {
		if marked(e, u) && e.MessageDue(ctx, owner, p) {
			return true
		}
	}
	return false
}

// delivered runs the hooks that follow a delivery; true if the message is in good hands. Marks are
// about messages that go the usual way: one that nobody took is offered to all.
func (r *Router) delivered(ctx context.Context, owner stanza.JID, u *session.User, p *module.Passage, took []*session.Session) bool {
	good := len(took) > 0
	for _, e := range r.hooks.after {
		if (len(took) == 0 || marked(e, u)) && e.MessageDelivered(ctx, owner, p, took) {
			good = true
		}
	}
	return good
}

// Blocked reports whether an account wants nothing to do with somebody. When that can't be found
// out it says no, and logs why.
func (r *Router) Blocked(ctx context.Context, owner, other stanza.JID) bool {
	if len(r.hooks.gates) == 0 || owner == other.Bare() {
		return false
	}
	u := r.table.User(owner.String())
	for _, e := range r.hooks.gates {
		if u != nil && !marked(e, u) {
			continue
		}
		blocks, err := e.Blocks(ctx, owner, other)
		if err != nil {
			r.log.Error("block list can't be read", "account", owner, "error", err)
		}
		if blocks {
			return true
		}
	}
	return false
}

// Gated reports whether an account may have blocked somebody: only then it needs to be asked. It
// costs nothing.
func (r *Router) Gated(u *session.User) bool {
	for _, e := range r.hooks.gates {
		if marked(e, u) {
			return true
		}
	}
	return false
}

// NSBlocked is the namespace of the error condition of XEP-0191 section 3.
const NSBlocked = "urn:xmpp:blocking:errors"

// maySend refuses what goes to somebody whom the sender has blocked. Presence is exempt, and
// filtered where it is sent: a broadcast must not fail for one contact.
func (r *Router) maySend(ctx context.Context, p *module.Passage) error {
	if p.Stanza.Kind == stanza.Presence || !r.Local(p.From) || p.To == r.domain || !r.Blocked(ctx, p.From.Bare(), p.To) {
		return nil
	}
	return Blocking()
}

// Blocking is the error for what is sent to somebody whom its sender has blocked (XEP-0191 section 3).
func Blocking() *module.Error {
	return &module.Error{Type: "cancel", Condition: "not-acceptable", App: "<blocked xmlns='" + NSBlocked + "'/>"}
}

// Remember has the modules look up what they remember of an account, so that its stanzas do not wait for that.
func (r *Router) Remember(ctx context.Context, owner stanza.JID) error {
	for _, e := range r.hooks.all {
		if e.Remember == nil {
			continue
		}
		if err := e.Remember(ctx, owner); err != nil {
			return err
		}
	}
	return nil
}

// Arrives tells the modules of a session that is about to become available.
func (r *Router) Arrives(s *session.Session) {
	for _, e := range r.hooks.all {
		if e.Arrives != nil {
			e.Arrives(s)
		}
	}
}

// Available tells the modules of a session that can be sent messages from now on.
func (r *Router) Available(ctx context.Context, s *session.Session, b *session.Batch) {
	for _, e := range r.hooks.all {
		if e.Available != nil {
			e.Available(ctx, s, b)
		}
	}
}

// Ended tells the modules of a session that is gone.
func (r *Router) Ended(ctx context.Context, s *session.Session) {
	for _, e := range r.hooks.all {
		if e.Ended != nil {
			e.Ended(ctx, s)
		}
	}
}

// returned tells the modules that what a session was given and did not get has found its way.
func (r *Router) returned(ctx context.Context, gone *session.Session, b *session.Batch) {
	for _, e := range r.hooks.all {
		if e.Returned != nil {
			e.Returned(ctx, gone, b)
		}
	}
}

// refuse answers a passage with the error that stopped it.
func (r *Router) refuse(p *module.Passage, err error) {
	se := r.failure(p, err)
	if p.Src == nil {
		return // Inject has returned the error
	}
	r.Refuse(p.Src, p.Stanza, p.Batch, se)
}

// failure is what the sender of a stanza is told of an error. What is none of a module's own is logged.
func (r *Router) failure(p *module.Passage, err error) *module.Error {
	var se *module.Error
	if errors.As(err, &se) {
		return se
	}
	r.log.Error("stanza failed", "kind", p.Stanza.Kind, "from", p.From, "to", p.To, "error", err)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return &module.Error{Type: "wait", Condition: "resource-constraint", Text: "the server's disk is full"}
	case errors.Is(err, store.ErrUncertain) && !r.faults.FailUncertain:
		return module.Uncertain()
	}
	return &module.Error{Type: "wait", Condition: "internal-server-error"}
}
