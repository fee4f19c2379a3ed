package core

import (
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/rosterdb/rosterdb/internal/op"
)

// A client may confirm a read by itself: it asks the leader for the value and one
// other voter for its term, both at once; see DESIGN.md, "Reads that the client
// confirms". What the two say comes from Standings, without a step of the Core.

// Standing is what a replica may say of itself until a newer one takes its place.
// Whoever carries a Round out has to publish its Standings before anything else of
// it leaves or is applied: a vote must not be known before the term that it was
// given in, nor a commit position anywhere before it is known here.
type Standing struct {
	Group uint32
	// Term is the highest in which the replica has taken part; 0: it says nothing.
	Term uint64
	// Leads: it leads Term, and an entry of Term is committed, and so at or below Commit
	// all that was acknowledged in earlier terms.
	Leads  bool
	Commit uint64
	// Voters is the configuration in force, nil if that is joint. It is not changed.
	Voters []uint64
}

// Majority tells whether two members are a majority of the voters.
func (s *Standing) Majority(a, b uint64) bool {
	return a != b && len(s.Voters) < 4 && slices.Contains(s.Voters, a) && slices.Contains(s.Voters, b)
}

// Shown tells whether a result, read after the Standing was looked up, is of a state
// that has all that was committed then.
func (s *Standing) Shown(res *op.ReadResult) bool {
	return res.Position >= s.Commit && (res.Code == op.OK || res.Code == op.NotFound || res.Code == op.Conflict)
}

// stand hands out a group's Standing if it has changed.
func (c *Core) stand(g *group) {
	s := Standing{Group: g.id}
	if g.rn != nil && !g.gone {
		s.Term, s.Commit = g.term, g.commit
		s.Leads = c.confirms(g) || c.cfg.Faults.LeadsUnproven && g.state == raft.StateLeader
		switch learners := g.conf.GetLearners(); {
		case c.cfg.Faults.LearnersConfirm && len(learners) > 0:
			s.Voters = append([]uint64{c.cfg.Member}, learners...)
		case len(g.conf.GetVotersOutgoing()) == 0:
			s.Voters = g.conf.GetVoters()
		}
	}
	old := &g.standing
	if s.Term == old.Term && s.Commit == old.Commit && s.Leads == old.Leads && slices.Equal(s.Voters, old.Voters) {
		return
	}
	g.standing = s
	c.next.Standings = append(c.next.Standings, s)
}
