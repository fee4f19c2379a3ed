package datanode

import (
	"slices"
	"testing"
)

// TestScrubCommand: a set begins what it names, a get only asks.
func TestScrubCommand(t *testing.T) {
	n, e, _ := testNode(t)
	if out := n.scrub(true, "3 4294967295 5"); out.Begun != 3 || !slices.Equal(e.scrubs, []uint32{3, 4294967295, 5}) || len(out.Results) != 3 || out.Results[2].Group != 5 {
		t.Errorf("%+v, %v begun", out, e.scrubs)
	}
	if out := n.scrub(false, "3"); out.Begun != 0 || len(e.scrubs) != 3 || len(out.Results) != 1 {
		t.Errorf("%+v, %v begun", out, e.scrubs)
	}
	for _, arg := range []string{"x", "-1", "4294967296", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"} {
		if _, err := scrubGroups(arg); err == nil {
			t.Errorf("%q is taken", arg)
		}
	}
}
