package ring

import (
	"slices"
	"testing"
)

// TestNextMeta: the group that keeps the ring, from one round to the next.
func TestNextMeta(t *testing.T) {
	m := func(n int, zones string, leaving ...uint64) []Member {
		return drawnMembers(n, func(i int, m *Member) {
			if zones != "" {
				m.Zone = string(zones[i])
			}
			if slices.Contains(leaving, m.ID) {
				m.State = Leaving
			}
		})
	}
	for _, c := range []struct {
		name    string
		cur     []uint64
		members []Member
		want    []uint64
	}{
		{"as it is", []uint64{1, 2, 3}, m(5, ""), []uint64{1, 2, 3}},
		{"five stay five", []uint64{1, 2, 3, 4, 5}, m(7, ""), []uint64{1, 2, 3, 4, 5}},
		{"one leaves", []uint64{1, 2, 3}, m(5, "", 2), []uint64{1, 3, 4}},
		{"two leave, one a round", []uint64{1, 2, 3}, m(5, "", 2, 3), []uint64{1, 3, 4}},
		{"two of five leave", []uint64{1, 2, 3, 4, 5}, m(7, "", 1, 2), []uint64{3, 4, 5, 6, 7}},
		{"five become three", []uint64{1, 2, 3, 4, 5}, m(5, "", 2), []uint64{1, 3, 4}},
		{"one becomes three", []uint64{1}, m(3, ""), []uint64{1, 2, 3}},
		{"one for another", []uint64{1}, m(2, "", 1), []uint64{2}},
		{"three become one", []uint64{1, 2, 3}, m(3, "", 1, 2), []uint64{3}},
		{"crowded zone", []uint64{1, 2, 3}, m(4, "aabc"), []uint64{2, 3, 4}},
		{"zone of who comes", []uint64{1, 2, 3}, m(6, "abcabc", 3), []uint64{1, 2, 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := nextMeta(c.cur, c.members)
			if !slices.Equal(got, c.want) {
				t.Fatalf("%v, want %v", got, c.want)
			}
			// It comes to rest with members that stay.
			for range 5 {
				got = nextMeta(got, c.members)
			}
			if again := nextMeta(got, c.members); !slices.Equal(got, again) {
				t.Errorf("no rest: %v, then %v", got, again)
			}
			for _, id := range got {
				if c.members[id-1].State == Leaving {
					t.Errorf("member %d leaves and keeps the ring: %v", id, got)
				}
			}
		})
	}
}
