package im

import (
	"bytes"
	"context"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Handle implements router.Presence: it takes presence that a client of this server has sent.
func (s *Service) Handle(ctx context.Context, src *session.Session, st *stanza.Stanza, batch *session.Batch) {
	if !src.Order.TryLock() {
		batch.Block() // whoever has it may be at the disk
		src.Order.Lock()
	}
	defer src.Order.Unlock()
	b := &mail{Batch: batch}
	if src.Ended() || s.tooLarge(src, st, b) {
		return
	}
	if st.To.Present() {
		s.handleTo(ctx, src, st, b)
	} else {
		s.handleAll(ctx, src, st, b)
	}
	s.dispatch(ctx, b)
}

// handleAll takes presence that is addressed to nobody: for all subscribers.
func (s *Service) handleAll(ctx context.Context, src *session.Session, st *stanza.Stanza, b *mail) {
	switch string(st.Get(st.Type.Value)) {
	case "":
		s.available(ctx, src, st, b)
	case "unavailable":
		s.unavailable(ctx, src, restamp(st, src.Full, ""), b)
	case "error":
	default:
		s.router.Bounce(src, st, b.Batch, "modify", "bad-request", "this type of presence needs an address")
	}
}

// handleTo takes presence that is addressed to somebody.
func (s *Service) handleTo(ctx context.Context, src *session.Session, st *stanza.Stanza, b *mail) {
	typ := string(st.Get(st.Type.Value))
	to, err := stanza.ParseJID(st.AttrString(st.To))
	if err == nil && (isVerb(typ) || typ == "probe" || s.router.Gated(src.User()) || s.router.Gated(s.table.User(to.Bare().String()))) {
		b.Block() // for rosters and block lists
	}
	switch {
	case err != nil:
		s.router.Bounce(src, st, b.Batch, "modify", "jid-malformed", "")
	case !knownType(typ):
		s.router.Bounce(src, st, b.Batch, "modify", "bad-request", "unknown type of presence")
	case !s.isLocal(to) && s.router.Elsewhere(to.Domain) == nil && typ != "unsubscribe" && typ != "unsubscribed":
		s.router.Bounce(src, st, b.Batch, "cancel", "remote-server-not-found", "this server does not talk to that domain")
	case s.router.Blocked(ctx, src.JID.Bare(), to):
		s.router.Refuse(src, st, b.Batch, router.Blocking())
	case s.isLocal(to) && s.router.Blocked(ctx, to.Bare(), src.JID):
		// XEP-0191 section 3: who is blocked must not find out.
	case typ == "" || typ == "unavailable":
		s.directed(ctx, src, st, to, typ == "", b)
	case isVerb(typ):
		s.manage(ctx, src, st, to.Bare(), verb(typ), b)
	case s.isLocal(to):
		s.arrive(ctx, src.JID, to, typ, restamp(st, src.Full, to.String()), b)
	default:
		b.away = append(b.away, restamp(st, src.Full, to.String()))
	}
}

// Inbound implements router.Presence: it takes presence for the domain or an account of it that
// comes from another domain (RFC 6121 sections 3.1.3, 4.3.2 and 4.6.4).
func (s *Service) Inbound(ctx context.Context, p *module.Passage) {
	owner, peer := p.To.Bare(), p.From.Bare()
	if owner.Local == "" || s.router.Blocked(ctx, owner, p.From) {
		return
	}
	b := &mail{Batch: p.Batch}
	b.Block()
	typ := string(p.Stanza.Get(p.Stanza.Type.Value))
	switch {
	case isVerb(typ):
		s.heard(p.From, p.To)
		s.inboundVerb(ctx, owner, peer, verb(typ), restamp(p.Stanza, peer.String(), owner.String()), b)
	case knownType(typ):
		s.arrive(ctx, p.From, p.To, typ, restamp(p.Stanza, p.From.String(), p.To.String()), b)
	case p.Src != nil:
		s.router.Bounce(p.Src, p.Stanza, p.Batch, "modify", "bad-request", "unknown type of presence")
	}
	s.dispatch(ctx, b)
}

func knownType(typ string) bool {
	switch typ {
	case "", "unavailable", "probe", "error":
		return true
	}
	return isVerb(typ)
}

func isVerb(typ string) bool {
	switch verb(typ) {
	case subscribe, subscribed, unsubscribe, unsubscribed:
		return true
	}
	return false
}

// arrive takes presence that somebody, here or elsewhere, has sent to an address of this domain, be
// it to an account or a session (RFC 6121 sections 4.3.2, 4.4.3, 4.5.3, 4.6.4 and 8.5). raw is
// addressed.
func (s *Service) arrive(ctx context.Context, from, to stanza.JID, typ string, raw []byte, b *mail) {
	switch typ {
	case "probe":
		s.heard(from, to)
		s.probe(ctx, from, to, b)
	case "error":
		src := s.table.Get(to.String())
		switch {
		case src != nil:
			if !s.isLocal(from) {
				src.Mute(from.Bare().String(), s.limits.RosterItems)
			}
			b.Send(src, raw, nil, nil, nil)
		case to.Resource == "": // the answer to a subscription request
			s.toAvailable(to.String(), raw, b)
		default:
			s.tell(Op{Kind: OpDirect, A: to.String(), Raw: raw})
		}
	default:
		s.heard(from, to)
		if to.Resource == "" {
			s.toAvailable(to.String(), raw, b)
		} else if dst := s.table.Get(to.String()); dst != nil {
			b.Send(dst, raw, nil, nil, nil)
		} else {
			s.tell(Op{Kind: OpDirect, A: to.String(), Raw: raw})
		}
	}
}

// heard notes that a contact elsewhere has sent presence to an account that is no error.
func (s *Service) heard(from, to stanza.JID) {
	if s.isLocal(from) {
		return
	}
	for _, own := range s.table.User(to.Bare().String()).Sessions() {
		own.Unmute(from.Bare().String())
	}
}

// available broadcasts presence (RFC 6121 sections 4.2 and 4.4). The first one of a session also
// brings it the presence of its contacts.
func (s *Service) available(ctx context.Context, src *session.Session, st *stanza.Stanza, b *mail) {
	prio, ok := priority(st)
	if !ok {
		s.router.Bounce(src, st, b.Batch, "modify", "bad-request", "the priority is not a number from -128 to 127")
		return
	}
	before := src.Priority()
	first := !src.Available()
	if before < 0 && prio >= 0 {
		s.router.Arrives(src)
	}
	if first || before < 0 || !src.User().Loaded() {
		b.Block() // for the roster, and what modules have kept
	}
	if hidden, _ := src.Hidden(); hidden && !s.faults.ShowHidden {
		src.SetPresence(nil, prio)
	} else {
		p := restamp(st, src.Full, "")
		src.SetPresence(p, prio)
		if s.late.mayCast(src) {
			s.broadcast(ctx, src, p, b)
		}
	}
	if first {
		s.welcome(ctx, src, b)
	}
	if first || before < 0 && prio >= 0 {
		s.router.Available(ctx, src, b.Batch)
	}
}

// priority reads the priority of a presence, 0 if it has none.
func priority(st *stanza.Stanza) (int, bool) {
	if st.Child.End == 0 {
		return 0, true
	}
	p := stanza.Parse(st.Raw)
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev == stanza.Start && p.Depth() == 2 && string(p.Name()) == "priority" {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(p.Content())), 10, 8)
			return int(n), err == nil
		}
	}
	return 0, true
}
