// Package router decides where a stanza goes (RFC 6120 section 10, RFC 6121 section 8). It routes
// bytes: of a stanza that only passes through, nothing but the "from" attribute is touched. Each
// message that can't be delivered comes back to its sender as an error, and each request gets an
// answer.
//
// A stanza comes in by one of three ways: Route (a client's stream), RouteFrom (the link of
// another domain) and Inject (the server itself). The usual one, to a full JID that is here, between
// accounts that no module has an interest in, is forwarded at once; every other one becomes a
// module.Passage, and the hooks of modules see it.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Presence handles presence stanzas and what goes with them (package im).
type Presence interface {
	// Handle takes a presence stanza of a session: broadcast, directed, subscription, probe. It
	// calls Batch.Block before it reads storage or waits.
	Handle(ctx context.Context, src *session.Session, st *stanza.Stanza, b *session.Batch)
	// Inbound takes a presence stanza for an account of the domain that comes from elsewhere.
	Inbound(ctx context.Context, p *module.Passage)
}

// Router routes the stanzas of one domain. It is safe for concurrent use.
type Router struct {
	domain   stanza.JID
	table    *session.Table
	log      *slog.Logger
	presence Presence
	routes   map[string]module.Route
	nonzas   map[string]module.NonzaHandler
	hooks    hooks
	domains  atomic.Pointer[map[string]module.Domain] // copied on write
	cluster  Cluster                                  // nil: there are no other servers
	faults   Faults
	counts   Counters
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	TrustFrom       bool // don't compare "from" with the session
	DropUndelivered bool // don't bounce
	ForkTwice       bool // let each session of several that took a message give it back
	LoseReturned    bool // forget what a session has left that is gone
	HookTwice       bool // run the hooks of received messages again for each session that takes one
	HoldNothing     bool // let messages overtake those of a session that is gone
	FailUncertain   bool // say that what may have been stored was not
}

// New makes a router. SetPresence and Add complete it before the first stanza. Faults are for tests.
func New(domain string, table *session.Table, log *slog.Logger, faults Faults) *Router {
	return &Router{
		domain: stanza.JID{Domain: domain},
		hooks:  hooks{toMessage: session.Leaving},
		table:  table,
		log:    log,
		routes: make(map[string]module.Route),
		nonzas: make(map[string]module.NonzaHandler),
		faults: faults,
	}
}

// SetPresence sets the handler of presence stanzas.
func (r *Router) SetPresence(p Presence) { r.presence = p }

// Add lists the routes and hooks of a module. Two modules can't share a namespace.
func (r *Router) Add(m module.Module) error {
	name := m.Info().Name
	for _, route := range m.Routes() {
		if _, taken := r.routes[route.NS]; taken {
			return fmt.Errorf("module %s: payload %s is answered by another module", name, route.NS)
		}
		r.routes[route.NS] = route
	}
	ext, ok := m.(module.Extender)
	if !ok {
		return nil
	}
	e, err := r.hooks.add(name, ext)
	if err != nil {
		return err
	}
	for ns, h := range e.Nonzas {
		if _, taken := r.nonzas[ns]; taken {
			return fmt.Errorf("module %s: elements of %s are handled by another module", name, ns)
		}
		r.nonzas[ns] = h
	}
	return nil
}

// Extensions lists what the modules have added, in their order.
func (r *Router) Extensions() []*module.Extension { return r.hooks.all }

// Domain is the domain that is served.
func (r *Router) Domain() string { return r.domain.Domain }

// Local reports whether a JID belongs to the domain.
func (r *Router) Local(j stanza.JID) bool { return j.Domain == r.domain.Domain }

// Route takes a stanza that the session src has sent. What comes of it is queued through b; the
// caller flushes b. The error, if any, ends the sender's stream.
func (r *Router) Route(ctx context.Context, src *session.Session, st *stanza.Stanza, b *session.Batch) *StreamError {
	if st.From.Present() && !r.mayUse(src, st) {
		return &StreamError{Condition: "invalid-from", Text: "the from attribute is not your address"}
	}
	// The usual case first: a message or IQ to a full JID that is here, in prepared form.
	if (st.Kind == stanza.Message || st.Kind == stanza.IQ) && st.To.Present() {
		dst := r.table.Lookup(st.Get(st.To.Value))
		if dst != nil && !r.hooks.concerned(st.Kind, src.User(), dst.User()) && validIQ(st) {
			switch r.forward(src, st, dst, b) {
			case session.Took:
				return nil
			case session.Busy:
				e := busy()
				r.Refuse(src, st, b, e)
				return nil
			} // else it may go elsewhere, or be kept
		}
	}
	if st.Kind == stanza.Nonza {
		return r.nonza(ctx, src, st, b)
	}
	if r.cluster != nil && r.hop(src, st, b) {
		return nil
	}
	if r.mayWait(src, st) {
		b.Block()
	}
	to, err := r.target(src, st)
	if err != nil {
		r.Bounce(src, st, b, "modify", "jid-malformed", "")
		return nil
	}
	p := &module.Passage{Src: src, From: src.JID, To: to, Stanza: st, Batch: b, Stamped: r.faults.TrustFrom && st.From.Present()}
	if err := r.sent(ctx, p); err != nil {
		r.refuse(p, err)
		return nil
	}
	if st.Kind == stanza.Presence {
		r.presence.Handle(ctx, src, st, b)
		return nil
	}
	r.pass(ctx, p)
	return nil
}

// mayWait reports whether more than a Fast handler has to see a stanza: hooks and storage may take
// their time. Presence says itself when it does.
func (r *Router) mayWait(src *session.Session, st *stanza.Stanza) bool {
	switch mark := src.User().Interest(); {
	case st.Kind == stanza.Message:
		return true
	case st.Kind == stanza.Presence, string(st.Get(st.To.Value)) == r.domain.Domain: // nobody blocks the server
		return r.hooks.fromAny&mark != 0
	default:
		return r.hooks.fromIQ&mark != 0 || r.hooks.toIQ != 0
	}
}

// pass takes a message or an IQ to where it is addressed, or back.
func (r *Router) pass(ctx context.Context, p *module.Passage) {
	var err error
	switch {
	case !r.Local(p.To):
		err = r.elsewhere(ctx, p)
	case p.Stanza.Kind == stanza.Message:
		err = r.toAccount(ctx, p, r.message)
	case p.Stanza.Kind == stanza.IQ:
		err = r.toAccount(ctx, p, r.iq)
	case p.Stanza.Kind == stanza.Presence:
		r.presence.Inbound(ctx, p)
	}
	if err != nil {
		r.refuse(p, err)
	}
}

// nonza hands an element that is no stanza to the module of its namespace.
func (r *Router) nonza(ctx context.Context, src *session.Session, st *stanza.Stanza, b *session.Batch) *StreamError {
	p := stanza.Parse(st.Raw)
	p.Next()
	h, ok := r.nonzas[string(p.NS())]
	if !ok {
		switch string(p.Name()) {
		case "message", "presence", "iq": // RFC 6120 section 4.8.3: the content namespace of some other kind of stream
			return &StreamError{Condition: "invalid-namespace", Text: "stanzas here are of " + stanza.NSClient}
		}
		return &StreamError{Condition: "unsupported-stanza-type"}
	}
	err := h(ctx, src, st, b)
	if err == nil {
		return nil
	}
	var se *StreamError
	if !errors.As(err, &se) {
		r.log.Error("element failed", "namespace", string(p.NS()), "from", src.Full, "error", err)
		se = &StreamError{Condition: "internal-server-error"}
	}
	return se
}

// mayUse reports whether the "from" of a stanza is the sender's full or bare JID
// (RFC 6120 section 8.1.2.1).
func (r *Router) mayUse(src *session.Session, st *stanza.Stanza) bool {
	if r.faults.TrustFrom {
		return true
	}
	raw := st.Get(st.From.Value)
	if string(raw) == src.Full || string(raw) == src.Bare {
		return true
	}
	j, err := stanza.ParseJID(st.AttrString(st.From))
	return err == nil && (j == src.JID || j == src.JID.Bare())
}

// target is where a stanza is addressed to; without "to" that is the sender's own account
// (RFC 6120 section 10.3).
func (r *Router) target(src *session.Session, st *stanza.Stanza) (stanza.JID, error) {
	if !st.To.Present() {
		return src.JID.Bare(), nil
	}
	return stanza.ParseJID(st.AttrString(st.To))
}

// forward queues a stanza for a session, with the sender's full JID as "from".
func (r *Router) forward(src *session.Session, st *stanza.Stanza, dst *session.Session, b *session.Batch) session.Taken {
	p := module.Passage{Src: src, Stanza: st, Batch: b}
	p.Stamped = r.faults.TrustFrom && st.From.Present()
	return r.send(&p, dst)
}

// send queues a stanza for a session. Busy is told only of what an error may answer.
func (r *Router) send(p *module.Passage, dst *session.Session) session.Taken {
	took := p.Offer(dst)
	if took == session.Busy && !mayBounce(p.Stanza) {
		took = session.Refused
		if p.Send(dst) {
			took = session.Took
		}
	}
	switch took {
	case session.Took:
		r.counts.Routed.Add(1)
	case session.Busy:
		r.counts.Busy.Add(1)
	}
	return took
}
