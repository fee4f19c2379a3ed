package im

import (
	"context"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// version names a state of what an account sees as its roster (RFC 6121 section 2.6): of the roster
// itself, and of the shared groups if the account belongs to one.
type version struct {
	roster uint64
	groups uint64  // digest; 0: the account has no part in them
	shared *shared // the groups themselves; nil in a version that a client has named
}

// String is what clients get to see. They tell it again, and compare nothing but equality.
func (v version) String() string {
	if v.groups == 0 {
		return strconv.FormatUint(v.roster, 36)
	}
	return strconv.FormatUint(v.roster, 36) + "." + strconv.FormatUint(v.groups, 36)
}

// version is the present one.
func (s *Service) version(ctx context.Context, owner stanza.JID) (version, error) {
	v := version{shared: s.groups.load()}
	if _, in := v.shared.group[owner.Local]; in {
		v.groups = v.shared.digest
	}
	var err error
	v.roster, err = s.store.RosterVersion(ctx, owner.Local)
	return v, err
}

// requestedVersion is the version that the client says it has, if it names one, and whether it
// knows versions at all.
func requestedVersion(iq *module.IQ) (v version, named, versions bool) {
	p := stanza.Parse(iq.Payload())
	if p.Next() != stanza.Start {
		return v, false, false
	}
	raw, versions := p.Attr("ver")
	roster, groups, both := strings.Cut(string(raw), ".")
	var err error
	if v.roster, err = strconv.ParseUint(roster, 36, 64); err == nil && both {
		v.groups, err = strconv.ParseUint(groups, 36, 64)
	}
	return v, err == nil, versions
}

// known reports whether a client that has one version can be brought to the present one by pushes.
func (s *Service) known(ctx context.Context, owner stanza.JID, has, now version) (bool, error) {
	if has.groups != now.groups {
		return false, nil
	}
	_, known, err := s.store.RosterSince(ctx, owner.Local, has.roster)
	return known, err
}

// catchUp makes a session interested in its roster, and sends it what has changed since a version.
// The version of the pushes is the old one but for the last: a client that is cut off in between
// asks for all of them again.
func (s *Service) catchUp(ctx context.Context, sess *session.Session, owner stanza.JID, has version, versions bool, b *session.Batch) {
	if s.faults.Gap != nil {
		s.faults.Gap()
	}
	unlock := s.lock(owner, owner)
	defer unlock()
	sess.SetInterest(true, versions)
	if s.faults.NoCatchUp {
		return
	}
	now, err := s.version(ctx, owner)
	var c account.Changes
	known := true
	if err == nil && now.roster != has.roster {
		c, known, err = s.store.RosterSince(ctx, owner.Local, has.roster)
	}
	if err == nil && !known { // nothing that was there before can be missing now
		c.Items, err = s.items(ctx, owner, now.shared)
	}
	if err != nil {
		s.log.Error("roster changes can't be read", "account", owner, "error", err)
		return
	}
	var pushes []func([]byte) []byte
	for i := range c.Items {
		if s.fromGroups(now.shared, owner.Local, c.Items[i].Contact) {
			continue // the groups say what is seen of it
		}
		pushes = append(pushes, func(dst []byte) []byte { return appendItem(dst, &c.Items[i]) })
	}
	for _, contact := range c.Removed {
		if s.fromGroups(now.shared, owner.Local, contact) {
			continue
		}
		pushes = append(pushes, func(dst []byte) []byte { return appendRemoved(dst, contact) })
	}
	if now.groups != has.groups {
		pushes = append(pushes, s.groupChanges(owner, has.shared, now.shared)...)
	}
	for i, p := range pushes {
		ver := ""
		switch {
		case versions && i == len(pushes)-1:
			ver = now.String()
		case versions:
			ver = has.String()
		}
		s.pushTo(sess, ver, p, b)
	}
}

// groupChanges are the pushes that bring a member of shared groups from one state of them to another.
func (s *Service) groupChanges(owner stanza.JID, from, to *shared) (pushes []func([]byte) []byte) {
	visible := func(g *shared, m account.Member) bool {
		_, in := g.group[owner.Local]
		return in && m.Name != owner.Local && g.group[m.Name] == m.Group
	}
	for _, m := range to.members {
		if visible(to, m) && !visible(from, m) {
			item := s.sharedItem(m)
			pushes = append(pushes, func(dst []byte) []byte { return appendItem(dst, &item) })
		}
	}
	for _, m := range from.members {
		if _, still := to.group[m.Name]; visible(from, m) && !(still && visible(to, account.Member{Name: m.Name, Group: to.group[m.Name]})) {
			pushes = append(pushes, func(dst []byte) []byte { return appendRemoved(dst, s.bare(m.Name)) })
		}
	}
	return pushes
}
