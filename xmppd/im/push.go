package im

import (
	"context"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Roster pushes (RFC 6121 section 2.1.6). Each server makes those of its sessions, in the order of the account's
// log of changes, whoever has made these: a session knows which version it was told (session.Told). What
// begins at that version is pushed as it comes; what is not newer is left out; and where something is missing in
// between, the log tells (catchUp).

// news is a change of a roster.
type news struct {
	account.Step
	contact string
	item    []byte // as it is pushed
}

func (s *Service) pushItem(ctx context.Context, owner stanza.JID, step account.Step, it *account.Item, b *mail) {
	s.push(ctx, owner, &news{step, it.Contact, appendItem(nil, it)}, b)
}

// push tells the interested sessions of an account of a change, on all servers.
func (s *Service) push(ctx context.Context, owner stanza.JID, n *news, b *mail) {
	s.pushHere(ctx, owner, n, b.Batch)
	if s.others != nil {
		v := version{roster: n.To, groups: s.groups.load().seenBy(owner.Local)}
		s.tell(Op{Kind: OpPush, A: owner.String(), B: v.String(), List: []string{strconv.FormatUint(n.From, 36), n.contact}, Raw: n.item})
	}
}

// toldPush takes a change that another server has made.
func (s *Service) toldPush(ctx context.Context, op *Op, b *mail) {
	owner, err := stanza.ParseJID(op.A)
	v, ok := parseVersion(op.B)
	if err != nil || !ok || len(op.List) < 2 {
		return
	}
	n := &news{contact: op.List[1], item: op.Raw}
	if n.From, err = strconv.ParseUint(op.List[0], 36, 64); err != nil {
		return
	}
	n.To = v.roster
	s.pushHere(ctx, owner, n, b.Batch)
}

// pushHere tells the sessions that an account has here.
func (s *Service) pushHere(ctx context.Context, owner stanza.JID, n *news, b *session.Batch) {
	for _, dst := range s.table.User(owner.String()).Sessions() {
		if !s.pushNext(owner, dst, n, b) {
			b.Block() // for the store
			s.CatchUp(ctx, dst, b)
		}
	}
}

// pushNext tells a session of a change. It reports false if the session lacks others before that one.
func (s *Service) pushNext(owner stanza.JID, dst *session.Session, n *news, b *session.Batch) bool {
	t := &dst.Roster
	t.Lock()
	defer t.Unlock()
	pushes, versions := dst.Interested()
	switch {
	case !pushes || t.Moves && !s.faults.PushMoving:
		return true
	case s.faults.AsTold:
	case t.Version > n.To || t.Version == n.To && n.From != n.To:
		return true // it has been told
	case t.Version != n.From:
		return false
	}
	t.Version = n.To
	if s.fromGroups(s.groups.load(), owner.Local, n.contact) {
		return true // the groups say what is seen of it
	}
	s.pushTo(dst, version{roster: t.Version, groups: t.Groups}, versions, n.item, b)
	return true
}

// pushTo sends a roster push to one session.
func (s *Service) pushTo(dst *session.Session, v version, versions bool, item []byte, b *session.Batch) {
	out := append([]byte("<iq type='set'"), " id='push"...)
	out = append(strconv.AppendUint(out, s.pushes.Add(1), 36), '\'')
	out = stanza.AppendAttr(out, "to", dst.Full)
	out = append(out, "><query xmlns='"+NSRoster+"'"...)
	if versions {
		out = stanza.AppendAttr(out, "ver", v.String())
	}
	out = append(append(append(out, '>'), item...), "</query></iq>"...)
	b.Send(dst, out, nil, nil, nil)
}

// interested makes a session interested in its roster, of which its client has a version, and sends it what has
// changed since.
func (s *Service) interested(ctx context.Context, sess *session.Session, has version, versions bool, b *session.Batch) {
	if s.faults.Gap != nil {
		s.faults.Gap()
	}
	t := &sess.Roster
	t.Lock()
	t.Version, t.Groups = has.roster, has.groups
	sess.SetInterest(true, versions)
	t.Unlock()
	if !s.faults.NoCatchUp {
		s.CatchUp(ctx, sess, b)
	}
}

// CatchUp sends an interested session what has changed of its roster since the version that it was told. The
// version of the pushes is the old one but for the last: a client that is cut off in between asks for all of
// them again. It may wait for the store.
func (s *Service) CatchUp(ctx context.Context, sess *session.Session, b *session.Batch) {
	t := &sess.Roster
	t.Lock()
	defer t.Unlock()
	pushes, versions := sess.Interested()
	if !pushes || t.Moves {
		return
	}
	owner := sess.JID.Bare()
	shared := s.groups.load()
	items, now, exact, err := s.missed(ctx, owner, t.Version, shared)
	if err != nil {
		s.log.Error("roster changes can't be read", "account", owner, "error", err)
		return
	}
	seen := shared.seenBy(owner.Local)
	if seen != t.Groups {
		before := s.groups.state(t.Groups)
		exact = exact && before != nil
		items = append(items, s.groupChanges(ctx, owner, before, shared)...)
	}
	if !exact { // what the client has too much it finds out when it asks with the version that it has
		versions = false
		sess.SetInterest(true, false)
	}
	old := version{roster: t.Version, groups: t.Groups}
	t.Version, t.Groups = now, seen
	for i, item := range items {
		v := old
		if i == len(items)-1 {
			v = version{roster: now, groups: seen}
		}
		s.pushTo(sess, v, versions, item, b)
	}
}

// missed returns the items that have changed in a roster since a version, as they are pushed. exact is false if some that
// were removed are not among them.
func (s *Service) missed(ctx context.Context, owner stanza.JID, since uint64, g *shared) (items [][]byte, now uint64, exact bool, err error) {
	c, known, err := s.store.RosterSince(ctx, owner.Local, since)
	if err == nil && !known {
		c.Items, err = s.items(ctx, owner, g)
	}
	if err != nil {
		return nil, 0, false, err
	}
	for i := range c.Items {
		if it := &c.Items[i]; !s.fromGroups(g, owner.Local, it.Contact) { // else the groups say what is seen of it
			items = append(items, appendItem(nil, it))
		}
	}
	for _, contact := range c.Removed {
		if !s.fromGroups(g, owner.Local, contact) {
			items = append(items, appendRemoved(nil, contact))
		}
	}
	return items, c.Version, known || since == 0, nil // a roster that had never changed was empty
}

// pushGroups sends the sessions that an account has here what has changed of the shared groups since they were
// told.
func (s *Service) pushGroups(ctx context.Context, owner stanza.JID, b *session.Batch) {
	for _, dst := range s.table.User(owner.String()).Sessions() {
		if !s.pushGroup(ctx, owner, dst, b) {
			b.Block()
			s.CatchUp(ctx, dst, b)
		}
	}
}

// pushGroup tells one session. It reports false if it is not remembered what that was told last.
func (s *Service) pushGroup(ctx context.Context, owner stanza.JID, dst *session.Session, b *session.Batch) bool {
	t := &dst.Roster
	t.Lock()
	defer t.Unlock()
	now := s.groups.load()
	seen := now.seenBy(owner.Local)
	pushes, versions := dst.Interested()
	if !pushes || t.Moves || t.Groups == seen {
		return true
	}
	before := s.groups.state(t.Groups)
	if before == nil {
		return false
	}
	items := s.groupChanges(ctx, owner, before, now)
	for i, item := range items {
		v := version{roster: t.Version, groups: t.Groups}
		if i == len(items)-1 {
			v.groups = seen
		}
		s.pushTo(dst, v, versions, item, b)
	}
	t.Groups = seen
	return true
}

// groupChanges are the items that bring a member of shared groups from one state of them to another; from nothing that
// is known (nil), what has come or stayed.
func (s *Service) groupChanges(ctx context.Context, owner stanza.JID, from, to *shared) (items [][]byte) {
	if from == nil {
		from = new(shared)
	}
	gone := func(m account.Member) bool {
		_, still := to.group[m.Name]
		return !still || to.seenBy(owner.Local) == 0
	}
	for _, m := range to.differ(from, owner.Local, to.members) {
		if to.shows(owner.Local, m) && !from.shows(owner.Local, m) {
			item := s.sharedItem(m)
			items = append(items, appendItem(nil, &item))
		}
	}
	for _, m := range to.differ(from, owner.Local, from.members) {
		if from.shows(owner.Local, m) && gone(m) {
			items = append(items, s.afterGroup(ctx, owner, s.bare(m.Name)))
		}
	}
	return items
}

// shows reports whether an account sees a member of the groups as a contact.
func (s *shared) shows(name string, m account.Member) bool {
	return s.seenBy(name) != 0 && m.Name != name && s.group[m.Name] == m.Group
}

// differ are those of members that an account may see otherwise than in a state before.
func (s *shared) differ(from *shared, name string, members []account.Member) []account.Member {
	if from.digest != s.before || s.changed == "" || s.changed == name {
		return members
	}
	for i, m := range members {
		if m.Name == s.changed {
			return members[i : i+1]
		}
	}
	return nil
}

// afterGroup is the item of a contact that has none of the groups any more: what the account has in its own
// roster shows again.
func (s *Service) afterGroup(ctx context.Context, owner stanza.JID, contact string) []byte {
	it, err := s.store.Item(ctx, owner.Local, contact)
	if err != nil {
		s.log.Error("roster can't be read", "account", owner, "error", err)
	}
	if err == nil && it.Listed {
		return appendItem(nil, &it)
	}
	return appendRemoved(nil, contact)
}
