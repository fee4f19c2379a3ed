package op

import (
	"math"
	"strings"
	"testing"
)

func TestWriteCheck(t *testing.T) {
	put := Mutation{Kind: Put, Path: "p"}
	for _, c := range []struct {
		name, want string
		tooLarge   bool
		w          Write
	}{
		{"a put", "", false, Write{Mutations: []Mutation{put}}},
		{"all of it", "", false, Write{RootCond: Condition{Kind: VersionIs}, Mutations: []Mutation{
			{Kind: Put, TTL: MaxTTL}, {Kind: Add, Path: "n", Delta: -1}, {Kind: Check, Path: "c", Cond: Condition{Kind: Absent}},
		}}},
		{"nothing", "is empty", false, Write{}},
		{"root present", "name its revision", false, Write{RootCond: Condition{Kind: Present}, Mutations: []Mutation{put}}},
		{"kind 0", "unknown kind", false, Write{Mutations: []Mutation{{}}}},
		{"kind 5", "unknown kind", false, Write{Mutations: []Mutation{{Kind: Check + 1}}}},
		{"condition 4", "unknown condition", false, Write{Mutations: []Mutation{{Kind: Put, Cond: Condition{Kind: 4}}}}},
		{"life below 0", "a life of", false, Write{Mutations: []Mutation{{Kind: Put, TTL: -1}}}},
		{"life too long", "a life of", false, Write{Mutations: []Mutation{{Kind: Put, TTL: MaxTTL + 1}}}},
		{"life of an add", "only a put", false, Write{Mutations: []Mutation{{Kind: Add, TTL: 1}}}},
		{"delta of a put", "only an add", false, Write{Mutations: []Mutation{{Kind: Put, Delta: 1}}}},
		{"value of an add", "only a put", false, Write{Mutations: []Mutation{{Kind: Add, Value: []byte("1")}}}},
		{"check of nothing", "without a condition", false, Write{Mutations: []Mutation{{Kind: Check}}}},
		{"twice", "twice", false, Write{Mutations: []Mutation{put, {Kind: Check, Path: "p", Cond: Condition{Kind: Present}}}}},
		{"value", "the limit is", true, Write{Mutations: []Mutation{{Kind: Put, Value: make([]byte, MaxValue+1)}}}},
	} {
		c.w.Root = "r"
		tooLarge, err := c.w.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || tooLarge != c.tooLarge {
			t.Errorf("%s: %v (too large: %v), want %q", c.name, err, tooLarge, c.want)
		}
	}
}

func TestReadCheck(t *testing.T) {
	number := func(f float64) *Scalar { return &Scalar{Kind: Number, Number: f} }
	for _, c := range []struct {
		name, want string
		r          Read
	}{
		{"get", "", Read{Kind: Get, Root: "r"}},
		{"get of no root", "root name is empty", Read{Kind: Get}},
		{"no kind", "unknown kind", Read{}},
		{"stale", "", Read{Kind: List, Root: "r", Stale: true, MaxAge: MaxAge}},
		{"too stale", "an age of", Read{Kind: List, Root: "r", Stale: true, MaxAge: MaxAge + 1}},
		{"scan", "", Read{Kind: Scan, FromStart: true}},
		{"scan behind a path", "names its root", Read{Kind: Scan, After: "p"}},
		{"query", "", Read{Kind: Query, Index: "i", From: number(1), To: &Scalar{Kind: String, String: "x"}}},
		{"query of nothing", "name of an index is empty", Read{Kind: Query}},
		{"not a number", "no number of JSON", Read{Kind: Query, Index: "i", From: number(math.NaN())}},
		{"bound of no kind", "unknown kind 0 of a bound", Read{Kind: Query, Index: "i", To: &Scalar{}}},
		{"long bound", "the limit is 512", Read{Kind: Query, Index: "i", To: &Scalar{Kind: String, String: strings.Repeat("x", MaxScalar+1)}}},
		{"long cursor", "cursor", Read{Kind: Query, Index: "i", Cursor: make([]byte, MaxCursor+1)}},
		{"changes", "", Read{Kind: Changes, Wait: MaxWait}},
		{"changes of a root", "", Read{Kind: Changes, Root: "r", ByRevision: true, SinceRevision: 3}},
		{"revision of nothing", "that of one root", Read{Kind: Changes, ByRevision: true}},
		{"root and index", "not of both", Read{Kind: Changes, Root: "r", Index: "i"}},
		{"long wait", "a wait of", Read{Kind: Changes, Wait: MaxWait + 1}},
	} {
		if err := c.r.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	r := Read{Kind: List, Root: "r", Limit: MaxListPage + 1}
	if err := r.Check(); err != nil || r.Limit != MaxListPage {
		t.Errorf("limit %d, %v", r.Limit, err)
	}
}

func TestSettleCheck(t *testing.T) {
	if err := (&Settle{Session: 1, Seq: 1}).Check(); err != nil {
		t.Error(err)
	}
	for _, s := range []Settle{{}, {Session: 1}, {Seq: 1}} {
		if s.Check() == nil {
			t.Errorf("%+v passed", s)
		}
	}
}
