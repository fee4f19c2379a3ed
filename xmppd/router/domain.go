package router

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Attach makes a domain reachable through d until the function returned is called. It is an error
// if the domain is the server's own or attached already.
func (r *Router) Attach(domain string, d module.Domain) (detach func(), err error) {
	if domain == r.domain.Domain {
		return nil, fmt.Errorf("attach %s: it is the server's own domain", domain)
	}
	if !r.changeDomains(func(m map[string]module.Domain) bool {
		_, taken := m[domain]
		m[domain] = d
		return !taken
	}) {
		return nil, fmt.Errorf("attach %s: the domain is attached already", domain)
	}
	r.tellAttached(domain, true)
	return func() {
		r.changeDomains(func(m map[string]module.Domain) bool {
			delete(m, domain)
			return true
		})
		r.tellAttached(domain, false)
	}, nil
}

func (r *Router) tellAttached(domain string, is bool) {
	if r.cluster != nil {
		r.cluster.Attached(domain, is)
	}
}

// changeDomains applies a change to the attached domains, unless f declines.
func (r *Router) changeDomains(f func(map[string]module.Domain) bool) bool {
	for {
		old, now := r.domains.Load(), make(map[string]module.Domain)
		if old != nil {
			maps.Copy(now, *old)
		}
		if !f(now) {
			return false
		}
		if r.domains.CompareAndSwap(old, &now) {
			return true
		}
	}
}

// Elsewhere returns what serves another domain, here or at another server; nil if nothing does.
func (r *Router) Elsewhere(domain string) module.Domain {
	if d := r.attached(domain); d != nil || r.cluster == nil {
		return d
	}
	return r.cluster.Elsewhere(domain)
}

// attached returns what serves another domain here.
func (r *Router) attached(domain string) module.Domain {
	if m := r.domains.Load(); m != nil {
		return (*m)[domain]
	}
	return nil
}

// Domains lists the domains that are served besides the server's own, here or at other servers, in order.
func (r *Router) Domains() (list []string) {
	if m := r.domains.Load(); m != nil {
		list = slices.Collect(maps.Keys(*m))
	}
	if r.cluster != nil {
		list = append(list, r.cluster.Domains()...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// elsewhere hands a stanza to what serves its domain.
func (r *Router) elsewhere(ctx context.Context, p *module.Passage) error {
	d := r.attached(p.To.Domain)
	if d == nil && !p.Here && r.cluster != nil {
		d = r.cluster.Elsewhere(p.To.Domain)
	}
	if d == nil {
		return &module.Error{Type: "cancel", Condition: "remote-server-not-found", Text: "this server does not talk to that domain"}
	}
	if !validIQ(p.Stanza) {
		return module.BadRequest("an iq needs an id, a type, and a payload if it is a request")
	}
	return d.Receive(ctx, p)
}

// RouteFrom takes a stanza from the link of another domain, link.JID. Its "from" must be of that
// domain, and it needs a "to" (XEP-0114 section 3, RFC 6120 section 8.1).
func (r *Router) RouteFrom(ctx context.Context, link *session.Session, st *stanza.Stanza, b *session.Batch) *StreamError {
	if st.Kind == stanza.Nonza {
		return &StreamError{Condition: "unsupported-stanza-type"}
	}
	if !st.From.Present() || !st.To.Present() {
		return &StreamError{Condition: "improper-addressing", Text: "a stanza of another domain needs from and to"}
	}
	from, err := stanza.ParseJID(st.AttrString(st.From))
	if err != nil || from.Domain != link.JID.Domain {
		return &StreamError{Condition: "invalid-from", Text: "the from attribute is not of your domain"}
	}
	to, err := stanza.ParseJID(st.AttrString(st.To))
	if err != nil {
		r.Bounce(link, st, b, "modify", "jid-malformed", "")
		return nil
	}
	p := &module.Passage{Src: link, From: from, To: to, Stanza: st, Batch: b, Stamped: true}
	for _, e := range r.hooks.sent {
		if err := e.StanzaSent(ctx, p); err != nil {
			r.refuse(p, err)
			return nil
		}
	}
	r.pass(ctx, p)
	return nil
}

// Inject implements module.Injector.
func (r *Router) Inject(ctx context.Context, raw []byte, b *session.Batch) error {
	st, err := stanza.One(raw)
	if err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	p := &module.Passage{Stanza: st, Batch: b, Stamped: true}
	if p.From, err = stanza.ParseJID(st.AttrString(st.From)); err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	if p.To, err = stanza.ParseJID(st.AttrString(st.To)); err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	switch {
	case !r.Local(p.To):
		return r.elsewhere(ctx, p)
	case st.Kind == stanza.Message:
		return r.toAccount(ctx, p, r.message)
	case st.Kind == stanza.IQ:
		return r.toAccount(ctx, p, r.iq)
	}
	r.presence.Inbound(ctx, p)
	return nil
}
