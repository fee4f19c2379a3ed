package mission

import (
	"fmt"
	"slices"
	"testing"
)

// book is what somebody has asked a server to keep. Of each thing there are versions, from 1 on.
type book map[string]*entry

// entry is one thing: the newest version that was acknowledged, 0: none, and the newest that was asked for.
type entry struct{ acked, tried int }

func (b book) try(key string, version int) {
	if b[key] == nil {
		b[key] = new(entry)
	}
	b[key].tried = version
}

// ack notes that all up to a version that was asked for are kept.
func (b book) ack(key string, version int) { b[key].acked = version }

// judge compares the book with what is kept, the versions of each thing, and says what is wrong: what was acknowledged is there
// once, in that version or one that was asked for later; all else at most once.
func (b book) judge(kept map[string][]int) (wrong []string) {
	for key, e := range b {
		switch got := kept[key]; {
		case len(got) > 1:
			wrong = append(wrong, fmt.Sprintf("%s: %d times, %v", key, len(got), got))
		case len(got) == 0 && e.acked > 0:
			wrong = append(wrong, fmt.Sprintf("%s: lost, acknowledged was %d", key, e.acked))
		case len(got) == 1 && (got[0] < e.acked || got[0] > e.tried):
			wrong = append(wrong, fmt.Sprintf("%s: %d is kept, acknowledged was %d, asked for %d", key, got[0], e.acked, e.tried))
		}
	}
	for key := range kept {
		if b[key] == nil {
			wrong = append(wrong, key+": nobody has asked for it")
		}
	}
	slices.Sort(wrong)
	return wrong
}

// TestBookNoticesFaults: each kind of loss, and what is no loss.
func TestBookNoticesFaults(t *testing.T) {
	b := make(book)
	for v := 1; v <= 3; v++ {
		b.try("contact", v)
	}
	b.ack("contact", 2)
	b.try("message", 1)
	b.ack("message", 1)
	b.try("doubtful", 1)
	for name, c := range map[string]struct {
		kept  map[string][]int
		wrong int
	}{
		"all":                  {map[string][]int{"contact": {2}, "message": {1}, "doubtful": {1}}, 0},
		"not what was doubted": {map[string][]int{"contact": {3}, "message": {1}}, 0},
		"lost":                 {map[string][]int{"contact": {2}}, 1},
		"doubled":              {map[string][]int{"contact": {2}, "message": {1, 1}}, 1},
		"doubtful, doubled":    {map[string][]int{"contact": {2}, "message": {1}, "doubtful": {1, 1}}, 1},
		"back to before":       {map[string][]int{"contact": {1}, "message": {1}}, 1},
		"never asked for":      {map[string][]int{"contact": {4}, "message": {1}}, 1},
		"a stranger's":         {map[string][]int{"contact": {2}, "message": {1}, "other": {1}}, 1},
		"nothing at all":       {nil, 2},
	} {
		if got := b.judge(c.kept); len(got) != c.wrong {
			t.Errorf("%s: %d mistakes, not %d: %q", name, len(got), c.wrong, got)
		}
	}
}
