// Package router decides where a stanza goes (RFC 6120 section 10, RFC 6121 section 8). It routes
// bytes: of a stanza that only passes through, nothing but the "from" attribute is touched. Each
// message that can't be delivered comes back to its sender as an error, and each request gets an
// answer.
package router

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Presence handles presence stanzas and what goes with them (package im).
type Presence interface {
	// Handle takes a presence stanza of a session: broadcast, directed, subscription, probe.
	Handle(ctx context.Context, src *session.Session, st *stanza.Stanza, b *session.Batch)
}

// Router routes the stanzas of one domain. It is safe for concurrent use.
type Router struct {
	domain   stanza.JID
	table    *session.Table
	log      *slog.Logger
	presence Presence
	routes   map[string]module.Route
	faults   Faults
	counts   Counters
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	TrustFrom       bool // don't compare "from" with the session
	DropUndelivered bool // don't bounce
}

// New makes a router. SetPresence and Add complete it before the first stanza. Faults are for tests.
func New(domain string, table *session.Table, log *slog.Logger, faults Faults) *Router {
	return &Router{
		domain: stanza.JID{Domain: domain},
		table:  table,
		log:    log,
		routes: make(map[string]module.Route),
		faults: faults,
	}
}

// SetPresence sets the handler of presence stanzas.
func (r *Router) SetPresence(p Presence) { r.presence = p }

// Add lists the routes of a module. Two modules can't share a namespace.
func (r *Router) Add(m module.Module) error {
	for _, route := range m.Routes() {
		if _, taken := r.routes[route.NS]; taken {
			return fmt.Errorf("module %s: payload %s is answered by another module", m.Info().Name, route.NS)
		}
		r.routes[route.NS] = route
	}
	return nil
}

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
		if dst := r.table.Lookup(st.Get(st.To.Value)); dst != nil && validIQ(st) {
			if !r.forward(src, st, dst, b) {
				r.undelivered(src, st, b)
			}
			return nil
		}
	}
	if st.Kind == stanza.Nonza {
		return &StreamError{Condition: "unsupported-stanza-type"}
	}
	to, err := r.target(src, st)
	if err != nil {
		r.Bounce(src, st, b, "modify", "jid-malformed", "")
		return nil
	}
	switch st.Kind {
	case stanza.Message:
		r.message(src, st, to, b)
	case stanza.IQ:
		r.iq(ctx, src, st, to, b)
	case stanza.Presence:
		r.presence.Handle(ctx, src, st, b)
	case stanza.Nonza, stanza.StreamEnd:
	}
	return nil
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
func (r *Router) forward(src *session.Session, st *stanza.Stanza, dst *session.Session, b *session.Batch) bool {
	if r.faults.TrustFrom && st.From.Present() {
		return b.Send(dst, st.Raw, nil, nil, nil)
	}
	head, rest, tail := cutFrom(st)
	if !b.Send(dst, head, src.From, rest, tail) {
		return false
	}
	r.counts.Routed.Add(1)
	return true
}

// cutFrom splits a stanza where a "from" belongs, leaving out the one it may have.
func cutFrom(st *stanza.Stanza) (head, rest, tail []byte) {
	head = st.Raw[:st.NameEnd]
	if !st.From.Present() {
		return head, st.Raw[st.NameEnd:], nil
	}
	return head, st.Raw[st.NameEnd:st.From.Whole.Start], st.Raw[st.From.Whole.End:]
}

// Deliver queues a stanza made by the server, or stamped already, for a full JID or for the
// sessions that a bare JID stands for. It is never bounced: false means nobody took it.
func (r *Router) Deliver(to stanza.JID, raw []byte, b *session.Batch) bool {
	if to.Resource != "" {
		dst := r.table.Get(to.String())
		return dst != nil && b.Send(dst, raw, nil, nil, nil)
	}
	u := r.table.User(to.String())
	if u == nil {
		return false
	}
	taken := false
	for _, dst := range mostAvailable(u.Sessions()) {
		taken = b.Send(dst, raw, nil, nil, nil) || taken
	}
	return taken
}
