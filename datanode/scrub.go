package datanode

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
)

// scrubGroups reads the argument of a question about scrubs.
func scrubGroups(arg string) ([]uint32, error) {
	var groups []uint32
	for _, s := range strings.Fields(arg) {
		g, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of a partition", s)
		}
		groups = append(groups, uint32(g))
	}
	if len(groups) > adminxml.MaxScrub {
		return nil, fmt.Errorf("%d partitions in one question; the limit is %d", len(groups), adminxml.MaxScrub)
	}
	return groups, nil
}

// scrub begins, if asked, to compare the replicas of those of the groups that are
// led here, and tells how far that and earlier comparisons are.
func (n *Node) scrub(begin bool, arg string) adminxml.Scrub {
	var out adminxml.Scrub
	groups, _ := scrubGroups(arg) // checked when it came
	if begin && len(groups) > 0 {
		out.Begun = n.engine.Scrub(groups...)
	}
	s := n.engine.ScrubState(groups...)
	if st := s.Stats; !st.Last.IsZero() {
		out.LastMS = st.Last.UnixMilli()
	}
	out.Compared, out.Mismatches, out.Undecided = s.Stats.Compared, s.Stats.Mismatches, s.Stats.Undecided
	out.Damaged, out.Repaired = s.Stats.Damaged, s.Stats.Repaired
	out.Reading, out.Mending = s.Reading, s.Mending
	for _, r := range s.Results {
		out.Results = append(out.Results, adminxml.Scrubbed{
			Group: r.Group, Index: r.Index, Voters: r.Voters, Told: r.Told, Wrong: r.Wrong, Undecided: r.Undecided,
		})
	}
	return out
}
