package im

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// shared is one state of the shared groups; immutable.
type shared struct {
	members []account.Member // in the order of names
	group   map[string]string
	digest  uint64 // of members: equal ones have the same, after a restart too
}

func (s *shared) both(a, b string) bool {
	if a == b {
		return false
	}
	_, okA := s.group[a]
	_, okB := s.group[b]
	return okA && okB
}

// groups is the present state, and the lock of those that change it.
type groups struct {
	mu  sync.Mutex
	now atomic.Pointer[shared]
}

func (g *groups) load() *shared { return g.now.Load() }

func (g *groups) set(members []account.Member) {
	s := &shared{members: members, group: make(map[string]string, len(members))}
	d := xxhash.New()
	for _, m := range members {
		s.group[m.Name] = m.Group
		_, _ = d.WriteString(m.Name + "\x00" + m.Group + "\x00")
	}
	s.digest = d.Sum64()
	g.now.Store(s)
}

// Grouped tells whether the account belongs to a shared group.
func (s *Service) Grouped(name string) bool {
	_, in := s.groups.load().group[name]
	return in
}

// AccountAdded tells the service of an account made while the server runs: members of shared
// groups that are on line get it into their rosters.
func (s *Service) AccountAdded(ctx context.Context, name, group string) {
	if group == "" {
		return
	}
	s.groups.mu.Lock()
	old := s.groups.load()
	members := slices.Clone(old.members)
	i, found := slices.BinarySearchFunc(members, name, func(m account.Member, n string) int { return strings.Compare(m.Name, n) })
	if found {
		members[i].Group = group
	} else {
		members = slices.Insert(members, i, account.Member{Name: name, Group: group})
	}
	s.groups.set(members)
	s.groups.mu.Unlock()
	item := s.sharedItem(account.Member{Name: name, Group: group})
	s.pushToMembers(ctx, name, func(dst []byte) []byte { return appendItem(dst, &item) })
}

// AccountRemoved ends the sessions of an account that was deleted while the server runs, and takes
// it out of the rosters of shared groups.
func (s *Service) AccountRemoved(ctx context.Context, name string) {
	bare := s.bare(name)
	if u := s.table.User(bare); u != nil {
		for _, sess := range u.Sessions() {
			s.SessionEnded(ctx, sess)
			sess.Out.Fail(&router.StreamError{Condition: "not-authorized", Text: "the account was removed"})
		}
	}
	s.groups.mu.Lock()
	old := s.groups.load()
	_, was := old.group[name]
	if was {
		s.groups.set(slices.DeleteFunc(slices.Clone(old.members), func(m account.Member) bool { return m.Name == name }))
	}
	s.groups.mu.Unlock()
	if was {
		s.pushToMembers(ctx, name, func(dst []byte) []byte { return appendRemoved(dst, bare) })
	}
}

// pushToMembers sends a roster push to all members of shared groups but one.
func (s *Service) pushToMembers(ctx context.Context, except string, item func([]byte) []byte) {
	b := newMail()
	for _, m := range s.groups.load().members {
		if m.Name == except {
			continue
		}
		owner := stanza.JID{Local: m.Name, Domain: s.domain}
		s.forget(owner.String())
		unlock := s.lock(owner, owner)
		s.push(ctx, owner, item, b)
		unlock()
	}
	s.post(ctx, b)
}

// sharedItem is how a member of a shared group appears in the others' rosters.
func (s *Service) sharedItem(m account.Member) account.Item {
	return account.Item{
		Contact: s.bare(m.Name), Name: m.Name, Groups: []string{m.Group},
		Subscription: account.SubBoth, Listed: true,
	}
}

// isShared reports whether two bare JIDs are contacts through shared groups.
func (s *Service) isShared(a, b stanza.JID) bool {
	return a.Domain == s.domain && b.Domain == s.domain && s.groups.load().both(a.Local, b.Local)
}
