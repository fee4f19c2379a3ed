package replicated

import (
	"slices"

	"github.com/rosterdb/rosterdb/ring"
)

// MemberStatus is a server's part of the data.
type MemberStatus struct {
	Name     string
	Leaving  bool
	Replaced bool // its data is lost: its server has come back with other data
	Held     int  // partitions that it has a copy of
	Led      int  // of those whose leader is known here
	Coming   int  // copies that it has still to get
}

// Status is where the data is, as this server knows.
type Status struct {
	Cluster    string // UUID; "" before it is known
	Partitions int
	Replicas   int // copies of each partition
	Members    []MemberStatus
	Changing   bool
	Moves      int // copies that the running change makes, all in all
	Left       int // of these, still to be made
}

// Status tells where the data is.
func (s *Store) Status() Status {
	doc := s.ring.Load()
	if doc == nil {
		return Status{}
	}
	st := Status{Cluster: doc.Cluster, Partitions: doc.Partitions, Replicas: doc.Replicas, Changing: doc.Change != nil}
	led := make(map[uint64]int)
	held := make(map[uint64]int)
	for p := range uint32(doc.Partitions) {
		if leader, ok := s.leaderOf(p); ok {
			led[leader]++
		}
		for _, id := range doc.Group(p) {
			held[id]++
		}
	}
	coming := doc.Remaining()
	hasData := s.withData(doc)
	for _, m := range doc.Members {
		st.Members = append(st.Members, MemberStatus{
			Name: nameOf(m), Leaving: m.State == ring.Leaving, Replaced: !hasData(m),
			Held: held[m.ID], Led: led[m.ID], Coming: coming[m.ID],
		})
		st.Left += coming[m.ID]
	}
	if doc.Change != nil {
		st.Moves = max(doc.Change.Moves, st.Left)
	}
	return st
}

// leaderOf is who leads a group, as a replica here knows or another server has said.
func (s *Store) leaderOf(group uint32) (member uint64, ok bool) {
	if member, ok = s.node.LeaderOf(group); ok {
		return member, true
	}
	x, ok := s.leaders.Load(group)
	if ok {
		member, ok = x.(uint64)
	}
	return member, ok
}

// Risk is what it means for the data that some servers can't be reached.
type Risk struct {
	Lacking int // partitions of which a copy is missing
	Lost    int // partitions without a majority of their copies: they can't be read or changed
	// Needed are the servers of which none more may be lost, sorted: a partition would have no majority.
	Needed []string
}

// Risk tells what the absence of the servers that can't be reached means. While a change moves copies, what holds
// is what holds before and after each of them.
func (s *Store) Risk(reached func(name string) bool) Risk {
	doc := s.ring.Load()
	if doc == nil {
		return Risk{}
	}
	hasData := s.withData(doc)
	return riskOf(doc, func(m ring.Member) bool { return hasData(m) && reached(nameOf(m)) })
}

// Missed lists, sorted, the servers that can't be reached where what is kept for an owner has no majority of its copies for want of
// them; none if it has one, or if nobody has said yet who has it.
func (s *Store) Missed(owner string, reached func(name string) bool) []string {
	doc := s.ring.Load()
	if doc == nil {
		return nil
	}
	hasData := s.withData(doc)
	isThere := func(m ring.Member) bool { return hasData(m) && reached(nameOf(m)) }
	group := doc.Group(doc.Partition(rootOf(owner)))
	if there, majority := present(doc, group, isThere); len(there) >= majority {
		return nil
	}
	return absentOf(doc, group, isThere)
}

// riskOf is the risk when only some members are there with their data.
func riskOf(doc *ring.Document, isThere func(ring.Member) bool) (r Risk) {
	needed := make(map[string]bool)
	for p := range uint32(doc.Partitions) {
		there, majority := present(doc, doc.Group(p), isThere)
		need(needed, there, majority)
		lost := len(there) < majority
		if len(there) < max(len(doc.Group(p)), doc.Replicas) {
			r.Lacking++
		}
		if c := doc.Change; c != nil && !c.Canceled {
			there, majority = present(doc, c.Target[p], isThere)
			need(needed, there, majority)
			lost = lost || len(there) < majority
		}
		if lost {
			r.Lost++
		}
	}
	there, majority := present(doc, doc.Meta, isThere) // without it nobody can join or leave
	need(needed, there, majority)
	for name := range needed {
		r.Needed = append(r.Needed, name)
	}
	slices.Sort(r.Needed)
	return r
}

// present are the servers of a group that are there with their data, and how many of them are needed.
func present(doc *ring.Document, group []uint64, isThere func(ring.Member) bool) (there []string, majority int) {
	for _, id := range group {
		if m, ok := doc.Member(id); ok && isThere(m) {
			there = append(there, nameOf(m))
		}
	}
	return there, len(group)/2 + 1
}

// need notes servers without one of which a group has no majority.
func need(needed map[string]bool, there []string, majority int) {
	if len(there) > majority {
		return
	}
	for _, name := range there {
		needed[name] = true
	}
}

// withData tells whether a member's data is there when its server is: not if the server says that it has other data. Then it
// has come back without, and the ring may not know of it yet.
func (s *Store) withData(doc *ring.Document) func(ring.Member) bool {
	said := make(map[string]string) // by name of the server: UUID of its data
	if !s.opt.faults.anyData {
		for _, x := range s.opt.Membership.Servers() {
			said[x.Name] = x.Store
		}
		said[s.opt.Name] = s.ID() // newer than what gossip says
	}
	return func(m ring.Member) bool {
		data := said[nameOf(m)]
		return hasName(doc, m) && (data == "" || data == m.Store)
	}
}

// hasName tells whether a member's server is still the one of that name: else the name is another member's.
func hasName(doc *ring.Document, m ring.Member) bool {
	now, ok := doc.ByJID(m.JID)
	return ok && now.ID == m.ID
}
