// Package carbons is message carbons (XEP-0280, version 1.0.1): each client of an account that wants it
// gets a copy of the messages that the others send and receive.
//
// A copy is made while the message passes, for sessions that are there at that moment. It is the
// account's own, from its bare JID: no hook sees it, so it is neither archived nor stored, and what a
// dying session did not get of copies is dropped (router.Return).
//
// <private/> is taken out of what is delivered while one of the two accounts has a client that wants
// copies. Section 9 says SHOULD of that, and leaves it to the receiver's server: between accounts
// without such clients nothing looks into messages, and who gets the element ignores it.
package carbons

import (
	"context"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Namespaces of the requests and copies, and of the rules that say which messages are copied.
const (
	NS      = "urn:xmpp:carbons:2"
	NSRules = "urn:xmpp:carbons:rules:0"
)

// Module is message carbons. Make it with New.
type Module struct {
	table  *session.Table
	copies *prometheus.CounterVec
	mark   session.Interest // noted on sessions: the client wants copies
	// Elsewhere are the account's sessions on other servers of a cluster; nil: there are none. It is set
	// before the first stanza.
	Elsewhere Elsewhere

	mu sync.Mutex // held while an account's mark is dropped or taken
}

// Elsewhere is the way to an account's sessions on other servers. It is safe for concurrent use.
type Elsewhere interface {
	// Has reports whether the account has some.
	Has(account string) bool
	// Copy hands a message, which bears its "from", to those servers, for CopyHere.
	Copy(account string, sent bool, raw []byte)
}

// New makes the module. A nil Registerer: no metrics.
func New(table *session.Table, reg prometheus.Registerer) *Module {
	m := &Module{table: table, copies: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "xmppd", Name: "carbons_total", Help: "Copies of messages for other clients of an account.",
	}, []string{"direction"})}
	for _, direction := range []string{sent, received} {
		m.copies.WithLabelValues(direction) // begins at zero
	}
	if reg != nil {
		reg.MustRegister(m.copies)
	}
	return m
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "carbons", Spec: "XEP-0280", Version: "1.0.1", Title: "Message Carbons"}
}

// Features implements module.Module.
func (*Module) Features() []string { return []string{NS, NSRules} }

// Routes implements module.Module.
func (m *Module) Routes() []module.Route {
	return []module.Route{{NS: NS, Scope: module.ToServer | module.ToAccount, Fast: true, Handle: m.handle}}
}

// Extend implements module.Extender.
func (m *Module) Extend(e *module.Extension) {
	m.mark = e.Interest
	e.MessageSent = m.onSent
	e.MessageReceived = m.onReceived
	e.MessageDelivered = m.delivered
	e.Available = func(_ context.Context, s *session.Session, _ *session.Batch) { m.settle(s.User()) }
	e.Ended = func(_ context.Context, s *session.Session) { m.settle(m.table.User(s.Bare)) }
}

// handle switches copies on and off for the sender's session (sections 4 and 5).
func (m *Module) handle(_ context.Context, iq *module.IQ) ([]byte, error) {
	switch {
	case iq.Target.Local != "" && !iq.Own():
		return nil, module.Forbidden("copies are for an account's own clients")
	case !iq.Set:
		return nil, module.BadRequest("enable and disable are of type set")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch iq.Name() {
	case "enable":
		m.mark.Note(iq.Src)
		m.mark.Take(iq.Src.User())
	case "disable":
		m.mark.Unnote(iq.Src)
	default:
		return nil, module.BadRequest("carbons are enabled or disabled")
	}
	return nil, nil
}

// settle drops the account's mark if none of its sessions wants copies, and reports whether one does.
func (m *Module) settle(u *session.User) bool {
	if u == nil {
		return false
	}
	if slices.ContainsFunc(u.Sessions(), m.mark.Noted) || m.Elsewhere != nil && m.Elsewhere.Has(u.Bare) {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(u.Sessions(), m.mark.Noted) {
		return true // since
	}
	m.mark.Drop(u)
	return false
}

// onSent copies what a client sends to the account's other clients (section 8).
func (m *Module) onSent(_ context.Context, p *module.Passage) error {
	u := p.Src.User()
	if !m.settle(u) || p.To.Bare() == p.From.Bare() || !eligible(p.Stanza) {
		return nil // what one sends to oneself is copied when it is delivered
	}
	m.copyAll(u, sent, p, nil)
	return nil
}

// onReceived takes <private/> out of what is delivered (section 9). A hint that says the same takes
// its place, for delivered and for whoever passes the message on.
func (m *Module) onReceived(_ context.Context, _ stanza.JID, p *module.Passage) error {
	if !mentions(p.Stanza) {
		return nil
	}
	raw := p.Bytes()
	without, ok := withoutPrivate(raw)
	if !ok {
		return nil
	}
	return p.Replace(without)
}

// delivered copies what clients of an account have got to its others (sections 6 and 7). What nobody
// has got is not copied: it is kept, or comes back, and will be delivered or not.
func (m *Module) delivered(_ context.Context, owner stanza.JID, p *module.Passage, took []*session.Session) bool {
	if len(took) == 0 {
		return false
	}
	if u := m.table.User(owner.String()); m.settle(u) && eligible(p.Stanza) {
		m.copyAll(u, received, p, took)
	}
	return false
}

// copyAll copies what clients of an account have got, here and elsewhere.
func (m *Module) copyAll(u *session.User, direction string, p *module.Passage, have []*session.Session) {
	raw := p.Bytes()
	m.copy(u, direction, p.Stanza, raw, append(have[:len(have):len(have)], p.Src), p.Batch)
	if m.Elsewhere != nil && m.Elsewhere.Has(u.Bare) {
		m.Elsewhere.Copy(u.Bare, direction == sent, raw)
	}
}

// Directions of copies.
const (
	sent     = "sent"
	received = "received"
)

// Moved takes note that an account has other sessions elsewhere than before.
func (m *Module) Moved(account string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mark.Take(m.table.User(account))
}

// CopyHere copies what a client has sent or got at another server to the sessions here that want it. raw
// is the message as that server has delivered it.
func (m *Module) CopyHere(account string, wasSent bool, raw []byte, b *session.Batch) {
	st, err := stanza.One(raw)
	u := m.table.User(account)
	if err != nil || u == nil {
		return
	}
	direction := received
	if wasSent {
		direction = sent
	}
	m.copy(u, direction, st, raw, nil, b)
}

// copy sends copies to the sessions of an account that want them, but for those that have the message
// already.
func (m *Module) copy(u *session.User, direction string, st *stanza.Stanza, raw []byte, have []*session.Session, b *session.Batch) {
	var head, tail []byte
	for _, s := range u.Sessions() {
		if !m.mark.Noted(s) || slices.Contains(have, s) {
			continue
		}
		if head == nil {
			head = stanza.AppendAttr([]byte("<message"), "from", u.Bare)
			head = stanza.AppendAttr(head, "type", module.MessageType(st))
			tail = append([]byte("><"), direction...)
			tail = append(tail, " xmlns='"+NS+"'><forwarded xmlns='urn:xmpp:forward:0'>"...)
			tail = stanza.AppendStandalone(tail, raw)
			tail = append(append(append(tail, "</forwarded></"...), direction...), "></message>"...)
		}
		if b.Send(s, head, stanza.AppendAttr(nil, "to", s.Full), tail, nil) {
			m.copies.WithLabelValues(direction).Inc()
		}
	}
}
