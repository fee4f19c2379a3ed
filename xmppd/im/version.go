package im

import (
	"context"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
)

// version names a state of what an account sees as its roster (RFC 6121 section 2.6): of the roster
// itself, and of the shared groups if the account belongs to one.
type version struct {
	roster uint64
	groups uint64  // digest; 0: the account has no part in them
	shared *shared // the groups themselves; nil in a version that a client has named, or was told
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
	v.groups = v.shared.seenBy(owner.Local)
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
	v, named = parseVersion(string(raw))
	return v, named, versions
}

// parseVersion is the reverse of version.String.
func parseVersion(text string) (v version, ok bool) {
	roster, groups, both := strings.Cut(text, ".")
	var err error
	if v.roster, err = strconv.ParseUint(roster, 36, 64); err == nil && both {
		v.groups, err = strconv.ParseUint(groups, 36, 64)
	}
	return v, err == nil
}

// known reports whether a client that has one version can be brought to the present one by pushes.
func (s *Service) known(ctx context.Context, owner stanza.JID, has, now version) (bool, error) {
	if has.groups != now.groups {
		return false, nil
	}
	_, known, err := s.store.RosterSince(ctx, owner.Local, has.roster)
	return known || s.faults.KnowAll, err
}
