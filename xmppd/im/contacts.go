package im

import (
	"context"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// contacts returns whom the presence of an account concerns: its roster and its shared contacts. It
// is unknown, and empty, if the roster can't be read.
func (s *Service) contacts(ctx context.Context, u *session.User) *session.Contacts {
	c, err := s.readContacts(ctx, u)
	if err != nil {
		s.log.Error("roster can't be read; presence is not sent", "account", u.Bare, "error", err)
		return &s.unknown
	}
	return c
}

func (s *Service) readContacts(ctx context.Context, u *session.User) (*session.Contacts, error) {
	return u.Contacts(func() (*session.Contacts, error) { return s.loadContacts(ctx, u.Bare) })
}

// Remember reads what stanzas and presence of an account need, unless it is known: what its modules remember, then its contacts.
func (s *Service) Remember(ctx context.Context, u *session.User) error {
	err := s.router.Remember(ctx, s.local(localpart(u.Bare)))
	if err == nil {
		_, err = s.readContacts(ctx, u)
	}
	return err
}

func (s *Service) loadContacts(ctx context.Context, bare string) (*session.Contacts, error) {
	name := localpart(bare)
	items, err := s.store.Roster(ctx, name)
	if err != nil {
		return nil, err
	}
	c := new(session.Contacts)
	shared := s.groups.load()
	items = slices.DeleteFunc(items, func(it account.Item) bool { return s.fromGroups(shared, name, it.Contact) }) // comes below
	apart := s.apartFrom(ctx, bare, items)
	for i := range items {
		it := &items[i]
		if it.Request != nil {
			c.Requests = append(c.Requests, it.Request)
		}
		if apart[i] {
			continue
		}
		if it.From() {
			c.From = append(c.From, it.Contact)
		}
		if it.To() {
			c.To = append(c.To, it.Contact)
		}
		if it.Ask && !s.ofDomain(it.Contact) {
			c.Asked = append(c.Asked, it.Contact)
		}
	}
	if _, in := shared.group[name]; in {
		for _, m := range shared.members {
			if m.Name != name {
				c.From = append(c.From, s.bare(m.Name))
				c.To = append(c.To, s.bare(m.Name))
			}
		}
	}
	return c, nil
}

// InRoster reports whether an account has a contact in its roster, be it through shared groups.
func (s *Service) InRoster(ctx context.Context, owner, contact stanza.JID) (bool, error) {
	if s.isShared(owner, contact) {
		return true, nil
	}
	it, err := s.store.Item(ctx, owner.Local, contact.String())
	return err == nil && it.Listed, err
}

// fromGroups reports whether an account has a contact through shared groups.
func (s *Service) fromGroups(g *shared, name, contact string) bool {
	return s.ofDomain(contact) && g.both(name, localpart(contact))
}

// forget drops what is loaded of an account's roster, after a change in the store.
func (s *Service) forget(bare string) {
	s.forgetHere(bare)
	s.tell(Op{Kind: OpForget, A: bare})
}

func (s *Service) forgetHere(bare string) {
	if u := s.table.User(bare); u != nil {
		u.Forget()
	}
}

// ofDomain reports whether a bare JID is an account of the domain, or the domain itself.
func (s *Service) ofDomain(bare string) bool {
	rest, ok := strings.CutSuffix(bare, s.domain)
	return ok && (rest == "" || strings.IndexByte(rest, '@') == len(rest)-1)
}

// localpart of a JID without resource; empty for a domain.
func localpart(bare string) string {
	local, _, ok := strings.Cut(bare, "@")
	if !ok {
		return ""
	}
	return local
}

// restamp copies a stanza with other "from" and "to" attributes.
func restamp(st *stanza.Stanza, from, to string) []byte {
	out := make([]byte, 0, len(st.Raw)+len(from)+len(to)+16)
	out = append(out, st.Raw[:st.NameEnd]...)
	out = stanza.AppendAttr(out, "from", from)
	if to != "" {
		out = stanza.AppendAttr(out, "to", to)
	}
	a, b := st.From.Whole, st.To.Whole
	if b.Start < a.Start {
		a, b = b, a
	}
	pos := st.NameEnd
	for _, cut := range []stanza.Span{a, b} {
		if cut.End != 0 {
			out = append(out, st.Raw[pos:cut.Start]...)
			pos = cut.End
		}
	}
	return append(out, st.Raw[pos:]...)
}

// nameEnd is the offset behind the name of the element that raw begins with.
func nameEnd(raw []byte) int {
	for i, c := range raw {
		switch c {
		case ' ', '\t', '\r', '\n', '>', '/':
			return i
		}
	}
	return len(raw)
}

// addressed is presence that has no "to" yet, with one.
func addressed(p []byte, to string) []byte {
	at := nameEnd(p)
	out := make([]byte, 0, len(p)+len(to)+8)
	out = stanza.AppendAttr(append(out, p[:at]...), "to", to)
	return append(out, p[at:]...)
}
