package replicated

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/ring"
)

// whyStay says why a member must not leave now, "" if it may.
func (s *Store) whyStay(doc *ring.Document, m ring.Member) string {
	if s.opt.faults.blindLeave {
		return ""
	}
	lost, away, err := lostWithout(doc, m, s.isThere(doc))
	switch {
	case err != nil:
		return err.Error()
	case lost == 0:
		return ""
	}
	names := strings.Join(away, ", ")
	return fmt.Sprintf("%d partitions would have no majority of their copies, since %s can't be reached or can't take changes; bring back what is missing, or, if it is gone for good, remove that first", lost, names)
}

// isThere tells whether a member is there with its data, and can take changes.
func (s *Store) isThere(doc *ring.Document) func(ring.Member) bool {
	hasData, takes := s.withData(doc), func(string) bool { return true }
	if s.opt.Takers != nil {
		takes = s.opt.Takers()
	}
	return func(m ring.Member) bool { return hasData(m) && takes(nameOf(m)) }
}

// lostWithout counts the partitions that a member's leaving would leave without a majority that is there, on the way or
// in the end, the group that decides about members being one of them; and it names the members that are missed there. What
// has no majority already counts if the one that leaves is there and has a copy, since it is one of those that can bring it back.
func lostWithout(doc *ring.Document, leaves ring.Member, isThere func(ring.Member) bool) (lost int, away []string, err error) {
	from := *doc
	from.Change = nil
	members := slices.Clone(doc.Members)
	usable := 0
	for i := range members {
		if members[i].ID == leaves.ID {
			members[i].State = ring.Leaving
		}
		if members[i].State != ring.Leaving {
			usable++
		}
	}
	from.Replicas = min(copies, usable)
	plan, err := ring.MakePlan(&from, members, ring.PlanOptions{})
	if err != nil {
		return 0, nil, fmt.Errorf("no place for what it has: %w", err)
	}
	missed := make(map[string]bool)
	count := func(now []uint64, later func(r *ring.Round) []uint64) {
		there, majority := present(doc, now, isThere)
		bad := len(there) < majority && slices.Contains(there, nameOf(leaves))
		had := len(there) >= majority
		at := now
		for i := range plan.Rounds {
			at = later(&plan.Rounds[i])
			if there, majority = present(doc, at, isThere); had && len(there) < majority {
				bad = true
				break
			}
		}
		if bad {
			lost++
			for _, name := range absentOf(doc, at, isThere) {
				missed[name] = true
			}
		}
	}
	for p := range uint32(doc.Partitions) {
		count(doc.Group(p), func(r *ring.Round) []uint64 { return r.Target[p] })
	}
	count(doc.Meta, func(r *ring.Round) []uint64 { return r.Meta })
	delete(missed, nameOf(leaves))
	for name := range missed {
		away = append(away, name)
	}
	slices.Sort(away)
	return lost, away, nil
}

// absentOf are the servers of a group that are not there with their data, sorted.
func absentOf(doc *ring.Document, group []uint64, isThere func(ring.Member) bool) (names []string) {
	for _, id := range group {
		if m, ok := doc.Member(id); ok && !isThere(m) {
			names = append(names, nameOf(m))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
