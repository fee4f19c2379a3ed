package sim

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestOnce: what a replica answers is held against what was answered before.
func TestOnce(t *testing.T) {
	ok := func(revision uint64) op.WriteResult { return op.WriteResult{Code: op.OK, Revision: revision} }
	type entry struct {
		index, seq, floor uint64
		res               op.WriteResult
	}
	for name, k := range map[string]struct {
		entries []entry
		want    string
	}{
		"one after the other":          {[]entry{{1, 1, 1, ok(1)}, {2, 2, 1, ok(2)}}, ""},
		"again, as before":             {[]entry{{1, 1, 1, ok(1)}, {2, 1, 1, ok(1)}, {3, 2, 1, ok(2)}}, ""},
		"again, done twice":            {[]entry{{1, 1, 1, ok(1)}, {2, 1, 1, ok(2)}}, again},
		"again, done twice in silence": {[]entry{{1, 1, 1, ok(1)}, {2, 1, 1, ok(1)}, {3, 2, 1, ok(3)}}, uncounted},
		"below the floor, refused":     {[]entry{{1, 9, 5, ok(1)}, {2, 3, 1, op.WriteResult{Code: op.Unknown}}}, ""},
		"below the floor, done":        {[]entry{{1, 9, 5, ok(1)}, {2, 3, 1, ok(2)}}, belowFloor},
		"on another replica":           {[]entry{{1, 1, 1, ok(1)}, {1, 1, 1, ok(1)}}, ""},
		"otherwise on another replica": {[]entry{{1, 1, 1, ok(1)}, {1, 1, 1, op.WriteResult{Code: op.SessionExpired}}}, elsewhere},
	} {
		c := newOnce()
		got := ""
		for _, e := range k.entries {
			cmd := []byte{byte(e.seq), byte(e.floor)}
			c.proposed(0, cmd, &op.Write{Session: 1, Seq: e.seq, Floor: e.floor, Root: "r"})
			if got = c.done(entryKey{0, e.index}, cmd, e.res); got != "" {
				break
			}
		}
		if got != k.want {
			t.Errorf("%s: %q, want %q", name, got, k.want)
		}
	}
}
