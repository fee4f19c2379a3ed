// Package im is the instant messaging half of RFC 6121: rosters (section 2), subscriptions
// (section 3) and presence (section 4), and the shared groups that put accounts into one another's
// roster without asking.
//
// An account that belongs to a shared group has every other account that belongs to one as a
// contact, subscribed both ways, listed under that account's group. Such contacts come from the
// group table alone: they are never stored in a roster and can't be removed from one.
package im

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Limits bound what one user can make the server keep.
type Limits struct {
	RosterItems int // a roster; 0: 2000
	Directed    int // JIDs that have directed presence of one session; 0: 500
}

// Service handles rosters and presence of one domain. It is safe for concurrent use.
type Service struct {
	domain string
	store  *account.Store
	table  *session.Table
	router *router.Router
	log    *slog.Logger
	limits Limits
	groups groups
	// change makes changes of subscriptions one after another: each touches two rosters.
	change sync.Mutex
	pushes atomic.Uint64 // numbers roster pushes
}

// New makes the service and loads the shared groups.
func New(ctx context.Context, store *account.Store, table *session.Table, r *router.Router, limits Limits, log *slog.Logger) (*Service, error) {
	if limits.RosterItems == 0 {
		limits.RosterItems = 2000
	}
	if limits.Directed == 0 {
		limits.Directed = 500
	}
	s := &Service{domain: r.Domain(), store: store, table: table, router: r, log: log, limits: limits}
	members, err := store.Grouped(ctx)
	if err != nil {
		return nil, err
	}
	s.groups.set(members)
	return s, nil
}

// contacts returns whom the presence of an account concerns: its roster and its shared contacts.
func (s *Service) contacts(ctx context.Context, u *session.User) *session.Contacts {
	c, err := u.Contacts(func() (*session.Contacts, error) {
		return s.loadContacts(ctx, u.Bare)
	})
	if err != nil {
		s.log.Error("roster can't be read; presence is not sent", "account", u.Bare, "error", err)
		return &session.Contacts{}
	}
	return c
}

func (s *Service) loadContacts(ctx context.Context, bare string) (*session.Contacts, error) {
	name := localpart(bare)
	items, err := s.store.Roster(ctx, name)
	if err != nil {
		return nil, err
	}
	c := new(session.Contacts)
	shared := s.groups.load()
	for i := range items {
		it := &items[i]
		if shared.both(name, localpart(it.Contact)) && it.Contact == s.bare(localpart(it.Contact)) {
			continue // comes below
		}
		if it.From() {
			c.From = append(c.From, it.Contact)
		}
		if it.To() {
			c.To = append(c.To, it.Contact)
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

// forget drops what is loaded of an account's roster, after a change in the store.
func (s *Service) forget(bare string) {
	if u := s.table.User(bare); u != nil {
		u.Forget()
	}
}

func (s *Service) bare(name string) string { return name + "@" + s.domain }

// localpart of a JID without resource; the whole for a domain.
func localpart(bare string) string {
	for i := range len(bare) {
		if bare[i] == '@' {
			return bare[:i]
		}
	}
	return ""
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
