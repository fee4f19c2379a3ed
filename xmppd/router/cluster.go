package router

import (
	"context"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Cluster is the way to sessions that other servers of the domain have. It is safe for concurrent use.
type Cluster interface {
	// Hop sends a stanza of a session to the server that is known to have the session of a full JID. It
	// reports false if none is known. It doesn't wait, and is sure to be sent when b is flushed.
	Hop(src *session.Session, st *stanza.Stanza, b *session.Batch) bool
	// Pass takes a message or an IQ to an account. It reports false if this server has to take care of
	// it: the account's sessions are here, or nowhere. An error tells that nobody gets it. It doesn't wait;
	// what has to be found out first comes back through Arrive.
	Pass(p *module.Passage) (taken bool, err error)
	// Reply sends a stanza to a session that is not here. Nobody hears if it is nowhere.
	Reply(to stanza.JID, raw []byte)

	// Attached takes note of another domain that is served here, or not any more.
	Attached(domain string, is bool)
	// Elsewhere returns the way to a domain that another server serves; nil if none does.
	Elsewhere(domain string) module.Domain
	// Domains lists the domains that other servers serve, in order.
	Domains() []string
}

// SetCluster makes the sessions of other servers reachable. It is called before the first stanza.
func (r *Router) SetCluster(c Cluster) { r.cluster = c }

// hop sends a stanza to a full JID straight to where that is known to be, if no module wants to see it
// on its sender's side.
func (r *Router) hop(src *session.Session, st *stanza.Stanza, b *session.Batch) bool {
	switch st.Kind {
	case stanza.Message:
		if r.hooks.fromMessage&src.User().Interest() != 0 {
			return false
		}
	case stanza.IQ:
		if r.hooks.fromIQ&src.User().Interest() != 0 || !validIQ(st) {
			return false
		}
	case stanza.Presence, stanza.Nonza, stanza.StreamEnd:
		return false
	}
	if !st.To.Present() || r.faults.TrustFrom || !r.cluster.Hop(src, st, b) {
		return false
	}
	r.counts.Routed.Add(1)
	return true
}

// toAccount hands a stanza to where it can be taken care of: another server, or this one, by here.
func (r *Router) toAccount(ctx context.Context, p *module.Passage, here func(context.Context, *module.Passage) error) error {
	if r.cluster != nil && !p.Here && p.To.Local != "" {
		if taken, err := r.cluster.Pass(p); taken || err != nil {
			return err
		}
	}
	return here(ctx, p)
}

// Land queues a message or an IQ that has come from another server for the session that it is for: if that is here, and no
// module wants to see it. The stanza is not read, which its sender's server has done, but for what it is. It
// reports false if there is more to do, by Arrive. It doesn't wait.
func (r *Router) Land(to, raw []byte, b *session.Batch) bool {
	kind := stanza.Nonza
	switch {
	case begins(raw, "<message"):
		kind = stanza.Message
	case begins(raw, "<iq"):
		kind = stanza.IQ
	default:
		return false
	}
	dst := r.table.Lookup(to)
	if dst == nil || r.hooks.awaited(kind, dst.User()) || b.Offer(dst, raw, nil, nil, nil) != session.Took {
		return false
	}
	r.counts.Routed.Add(1)
	return true
}

// begins reports whether an element's tag begins so, with the whole of its name.
func begins(raw []byte, tag string) bool {
	if len(raw) <= len(tag) || string(raw[:len(tag)]) != tag {
		return false
	}
	switch raw[len(tag)] {
	case ' ', '\t', '\r', '\n', '/', '>':
		return true
	}
	return false
}

// Arrive routes a stanza that has come from another server of the cluster, or back from there. It bears
// its "from", whose server has run the hooks of the sender. An error goes to the sender, wherever that is.
func (r *Router) Arrive(ctx context.Context, p *module.Passage) {
	if p.Stanza.Kind == stanza.Message || p.Stanza.Kind == stanza.IQ {
		if dst := r.table.Get(p.To.String()); dst != nil && !r.hooks.awaited(p.Stanza.Kind, dst.User()) {
			switch r.send(p, dst) {
			case session.Took:
				return
			case session.Busy:
				r.Undelivered(ctx, p, busy())
				return
			}
		}
	}
	handle := r.message
	if p.Stanza.Kind == stanza.IQ {
		handle = r.iq
	}
	r.arrived(ctx, p, r.toAccount(ctx, p, handle))
}

// ArriveElsewhere is Arrive of a stanza for a domain that this server serves.
func (r *Router) ArriveElsewhere(ctx context.Context, p *module.Passage) {
	r.arrived(ctx, p, r.elsewhere(ctx, p))
}

// AtOnce reports whether Arrive finds a session for a message without a look at records: of the resource that it is for, or of
// the account.
func (r *Router) AtOnce(p *module.Passage) bool {
	if dst := r.table.Get(p.To.String()); dst != nil {
		return !r.hooks.awaited(p.Stanza.Kind, dst.User())
	}
	u := r.table.User(p.To.Bare().String())
	return p.Stanza.Kind == stanza.Message && !r.hooks.awaited(p.Stanza.Kind, u) && slices.ContainsFunc(u.Sessions(), (*session.Session).Available)
}

// arrived tells the sender of a stanza, wherever that is, what was wrong with it, if anything.
func (r *Router) arrived(ctx context.Context, p *module.Passage, err error) {
	if err == nil {
		return
	}
	r.Undelivered(ctx, p, r.failure(p, err))
}

// Undelivered tells the sender of a stanza, wherever that is, that it was not delivered.
func (r *Router) Undelivered(ctx context.Context, p *module.Passage, e *module.Error) {
	if reply := r.errorReply(p.Stanza, e); reply != nil {
		r.reply(ctx, p.From, reply, p.Batch)
	}
}

// awaited reports whether a module wants to see a stanza that an account gets.
func (h *hooks) awaited(kind stanza.Kind, to *session.User) bool {
	if kind == stanza.Message {
		return h.toMessage&to.Interest() != 0
	}
	return h.toIQ&to.Interest() != 0
}
