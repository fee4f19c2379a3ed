package datanode

import "github.com/rosterdb/rosterdb/internal/admin/adminxml"

// scrub begins, if asked, to compare the replicas of all groups led here, and
// tells what came of earlier comparisons.
func (n *Node) scrub(begin bool) adminxml.Scrub {
	var out adminxml.Scrub
	if begin {
		out.Begun = n.engine.Scrub()
	}
	st := n.engine.Status().Scrub
	if !st.Last.IsZero() {
		out.LastMS = st.Last.UnixMilli()
	}
	out.Compared, out.Mismatches, out.Undecided = st.Compared, st.Mismatches, st.Undecided
	out.Damaged, out.Repaired = st.Damaged, st.Repaired
	return out
}
