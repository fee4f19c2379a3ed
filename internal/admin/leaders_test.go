package admin

import (
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestCountLeaders: a partition claimed twice counts once, so it cannot hide
// one without a leader.
func TestCountLeaders(t *testing.T) {
	const meta = 4294967295
	doc := &ring.Document{Partitions: 3, Members: []ring.Member{
		{ID: 1, JID: "dn1@d/store"}, {ID: 2, JID: "dn2@d/store"}, {ID: 3, JID: "dn3@d/store"},
	}}
	for _, c := range []struct {
		name    string
		reports map[uint64][][3]uint64
		led     int
		by1     int
	}{
		{"all led", map[uint64][][3]uint64{1: {{0, 1, 5}, {1, 2, 5}, {2, 1, 5}, {meta, 1, 5}}, 2: {{0, 1, 5}, {1, 2, 5}}}, 3, 2},
		{"claimed twice, one without", map[uint64][][3]uint64{1: {{0, 1, 5}, {1, 1, 5}}, 2: {{0, 2, 6}, {1, 1, 5}}}, 2, 1},
		{"deposed", map[uint64][][3]uint64{1: {{0, 1, 5}}, 2: {{0, 3, 6}}}, 0, 0},
		{"said by a follower only", map[uint64][][3]uint64{2: {{0, 1, 5}}}, 0, 0},
		{"a candidate's term does not depose", map[uint64][][3]uint64{1: {{0, 1, 5}}, 2: {{0, 0, 9}}}, 1, 1},
		{"the ring's group is no partition", map[uint64][][3]uint64{1: {{meta, 1, 5}}}, 0, 0},
	} {
		l := countLeaders(doc, c.reports)
		if l.Led != c.led || l.ByNode["dn1@d/store"] != c.by1 {
			t.Errorf("%s: %+v, want %d led, %d by dn1", c.name, l, c.led, c.by1)
		}
	}
}
