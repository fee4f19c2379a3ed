package im

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
)

// shared is one state of the shared groups; immutable.
type shared struct {
	members []account.Member // in the order of names
	group   map[string]string
	digest  uint64 // of members: equal ones have the same, after a restart too
	// The state before, if one account's group is all that is different.
	before  uint64
	changed string
}

// seenBy is the digest as it is in the version of an account's roster: 0 if it has no part in the groups.
func (s *shared) seenBy(name string) uint64 {
	if _, in := s.group[name]; in {
		return s.digest
	}
	return 0
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
	mu      sync.Mutex
	filling int              // under way
	since   []account.Member // changed since the first of them began
	now     atomic.Pointer[shared]
	past    [pastGroups]*shared // the last ones, now among them
	sets    int
}

// pastGroups is how many states are remembered, for sessions that have to be told what is different since.
const pastGroups = 8

// fill takes the groups from the store. What has changed while they were read counts more.
func (g *groups) fill(read func() ([]account.Member, error)) error {
	g.mu.Lock()
	g.filling++
	from := len(g.since)
	g.mu.Unlock()
	members, err := read()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		for _, m := range g.since[from:] {
			members = put(members, m)
		}
		g.set(members)
	}
	if g.filling--; g.filling == 0 {
		g.since = nil
	}
	return err
}

// put puts an account into its group, or out of all, in a list of its own.
func put(members []account.Member, m account.Member) []account.Member {
	members = slices.DeleteFunc(slices.Clone(members), func(o account.Member) bool { return o.Name == m.Name })
	if m.Group == "" {
		return members
	}
	i, _ := slices.BinarySearchFunc(members, m.Name, func(o account.Member, n string) int { return strings.Compare(o.Name, n) })
	return slices.Insert(members, i, m)
}

func (g *groups) load() *shared { return g.now.Load() }

func (g *groups) set(members []account.Member) { g.setChanged(members, 0, "") }

// setChanged is set of members of which one is different than in the state before.
func (g *groups) setChanged(members []account.Member, before uint64, changed string) {
	s := &shared{members: members, group: make(map[string]string, len(members)), before: before, changed: changed}
	d := xxhash.New()
	for _, m := range members {
		s.group[m.Name] = m.Group
		_, _ = d.WriteString(m.Name + "\x00" + m.Group + "\x00")
	}
	s.digest = d.Sum64()
	g.past[g.sets%pastGroups] = s
	g.sets++
	g.now.Store(s)
}

// state is the state of a digest as an account has seen it; nil if it is forgotten.
func (g *groups) state(seen uint64) *shared {
	if seen == 0 {
		return new(shared)
	}
	if s := g.load(); s.digest == seen {
		return s
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.past {
		if s != nil && s.digest == seen {
			return s
		}
	}
	return nil
}

// Grouped tells whether the account belongs to a shared group.
func (s *Service) Grouped(name string) bool {
	_, in := s.groups.load().group[name]
	return in
}

// AccountAdded tells the service of an account made while the server runs: members of shared
// groups that are on line get it into their rosters.
func (s *Service) AccountAdded(ctx context.Context, name, group string) { s.regroup(ctx, name, group) }

// AccountLeaves ends the subscriptions of an account that is about to be deleted, in both directions:
// whoever gets its name next must neither see nor be seen by the contacts of the former owner.
func (s *Service) AccountLeaves(ctx context.Context, name string) {
	owner := s.local(name)
	items, err := s.store.Roster(ctx, name)
	if err != nil { // a damaged roster must not keep an account from being deleted
		s.log.Error("roster can't be read; some of its contacts stay subscribed", "account", name, "error", err)
	}
	b := newMail()
	defer s.post(ctx, b)
	for i := range items {
		contact, err := stanza.ParseJID(items[i].Contact)
		if err != nil {
			continue // no such contact has ever heard of it
		}
		unlock := s.change(owner, contact, b)
		s.part(ctx, owner, contact, &items[i], b)
		unlock()
	}
}

// AccountRemoved ends the sessions of an account that was deleted while the server runs, and takes
// it out of the rosters of shared groups.
func (s *Service) AccountRemoved(ctx context.Context, name string) {
	s.EndAll(ctx, s.bare(name), "not-authorized", removed)
	s.regroup(ctx, name, "")
}

// GroupChanged tells the service that an account belongs to another shared group, or to none. All
// those concerned see it at once.
func (s *Service) GroupChanged(ctx context.Context, name, group string) { s.regroup(ctx, name, group) }

// change puts an account into a group, or out of all, and returns the groups before and after.
func (g *groups) change(name, group string) (from, to *shared) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.filling > 0 {
		g.since = append(g.since, account.Member{Name: name, Group: group})
	}
	from = g.load()
	if was, in := from.group[name]; was == group && in == (group != "") {
		return from, from
	}
	g.setChanged(put(from.members, account.Member{Name: name, Group: group}), from.digest, name)
	return from, g.load()
}

// settle puts an account into the group that the store has for it now: of two servers' changes of the moment the
// news may come in another order.
func (s *Service) settle(ctx context.Context, name, group string) (from, to *shared) {
	s.regrouping.Lock()
	defer s.regrouping.Unlock()
	from = s.groups.load()
	if was, in := from.group[name]; was == group && in == (group != "") {
		return from, from
	}
	switch a, err := s.store.Account(ctx, name); {
	case errors.Is(err, account.ErrNotFound):
		group = ""
	case err != nil:
		s.log.Error("group can't be read; what was told of it counts", "account", name, "error", err)
	default:
		group = a.Group
	}
	return s.groups.change(name, group)
}

func (s *Service) regroup(ctx context.Context, name, group string) {
	from, to := s.settle(ctx, name, group)
	if from == to {
		return
	}
	group = to.group[name]
	s.tell(Op{Kind: OpGroup, A: name, B: group})
	_, was := from.group[name]
	self := s.local(name)
	s.forget(self.String())
	b := newMail()
	s.pushGroups(ctx, self, b.Batch)
	others := to.members // those of from are the same but for this one
	for _, m := range others {
		if m.Name == name {
			continue
		}
		peer := s.local(m.Name)
		s.forget(peer.String())
		unlock := s.change(self, peer, b)
		s.regrouped(ctx, peer, account.Member{Name: name, Group: group}, was, b)
		if was != (group != "") {
			if group == "" {
				m.Group = ""
			}
			s.regrouped(ctx, self, m, was, b)
		}
		unlock()
	}
	s.post(ctx, b)
}

// regrouped tells a member that another belongs to a group now (no group: to none), and starts or
// ends the other's presence for it. The locks of both must be held. Sessions on other servers are told there.
func (s *Service) regrouped(ctx context.Context, owner stanza.JID, m account.Member, was bool, b *mail) {
	contact := s.local(m.Name)
	s.pushGroups(ctx, owner, b.Batch)
	if m.Group != "" {
		if !was {
			s.startPresence(ctx, contact, owner, b)
		}
		return
	}
	it, err := s.store.Item(ctx, owner.Local, contact.String())
	if err != nil {
		s.log.Error("roster can't be read", "account", owner, "error", err)
	}
	if !it.To() {
		s.endPresence(ctx, contact, owner, b)
	}
}

func (s *Service) local(name string) stanza.JID { return stanza.JID{Local: name, Domain: s.domain} }

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
