package chaos

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// count is what a judge found, without words.
type count struct{ lost, doubled, wrong int }

var (
	clean = count{}
	lost  = count{lost: 1}
	twice = count{doubled: 1}
	wrong = count{wrong: 1}
)

// TestJudges: each judge finds nothing in books that agree with what is there, and
// each kind of mistake in books that were doctored.
func TestJudges(t *testing.T) {
	cluster, err := appclienttest.Start(appclienttest.Options{Indexes: []appclienttest.Index{{Name: queryIndex, Prefix: queryPrefix, Path: "*", Field: "n"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c, err := appclient.Dial(t.Context(), cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // never fails
	m := newMeter(-1)
	for _, p := range []struct{ root, path, value string }{
		{"ledger/0/0", "0000", "ledger/0/0 says 0"},
		{"ledger/0/0", "0001", "ledger/0/0 says 1"},
		{"counter/0", "", "1"},
		{"tree/0", "0000", "1"},
		{"tree/0", "0001", "1"},
		{"feed/0", "0000", "0"},
		{"feed/0", "0000", "1"},
		{"scan/0", scanStamp, "0"},
		{"lapse/0", "0", "0"},
		{"outcome/0", "0", "0"},
		{"stream/0", "0000", "0"},
		{"stream/0", "0000", "1"},
		{"transfer/0", account(0), "-5"},
		{"transfer/0", account(1), "5"},
		{"transfer/0", transferCount, "1"},
		{"query/0", "0001", `{"n":1}`},
		{"query/0", "0002", `{"n":2}`},
	} {
		if _, err := c.Root(p.root).Put(t.Context(), p.path, []byte(p.value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Root("hot/0").Increment(t.Context(), "count", 1); err != nil {
		t.Fatal(err)
	}
	var cases []judgement
	for _, kind := range []func(*meter) []judgement{ofWrites, ofCounts, ofScans, ofLapses, ofOutcomes, ofStales, ofQueries, ofHistories, ofStreams, ofPairs, ofClaims, ofTransfers, ofBackups, ofValues} {
		cases = append(cases, kind(m)...)
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			var v Verdict
			if err := k.judge(t.Context(), c, &v); err != nil {
				t.Fatal(err)
			}
			if got := (count{min(v.Lost, 1), min(v.Doubled, 1), min(v.Wrong, 1)}); got != k.want {
				t.Errorf("judged %+v, want %+v: %q", got, k.want, v.Complaints)
			}
		})
	}
}

// judgement is a book for a judge, and what it should say.
type judgement struct {
	name  string
	want  count
	judge func(context.Context, *appclient.Client, *Verdict) error
}

func book(name string, want count, t interface {
	judge(context.Context, *appclient.Client, *Verdict) error
},
) judgement {
	return judgement{name, want, t.judge}
}

func ofWrites(m *meter) (all []judgement) {
	ledgerOf := func(name string, want count, told ...told) {
		all = append(all, book("ledger/"+name, want, &ledger{meter: m, roots: []*page{{root: "ledger/0/0", told: told}}}))
	}
	ledgerOf("as it is", clean, told{applied, 1}, told{applied, 2})
	ledgerOf("unknown outcomes", clean, told{unknown, 0}, told{applied, 2}, told{unknown, 0})
	ledgerOf("lost", lost, told{applied, 1}, told{applied, 2}, told{applied, 3})
	ledgerOf("another version", wrong, told{applied, 1}, told{applied, 1})
	ledgerOf("refused and there", wrong, told{applied, 1}, told{refused, 0})
	all = append(all, book("ledger/twice", twice, &ledger{meter: m, roots: []*page{{root: "feed/0"}}}))

	treeOf := func(name string, want count, acknowledged, tried, torn int64) {
		k := &trees{meter: m}
		k.each[0].acknowledged.Store(acknowledged)
		k.each[0].tried.Store(tried)
		k.torn.Store(torn)
		all = append(all, book("tree/"+name, want, k))
	}
	// Its two objects are of two batches here.
	treeOf("nothing was acknowledged", clean, 0, 1, 0)
	treeOf("part of a batch read", wrong, 0, 1, 1)
	treeOf("part of a batch left", wrong, 1, 1, 0)
	treeOf("lost", count{lost: 1, wrong: 1}, 2, 2, 0)

	feedOf := func(name string, want count, f *watchers) { all = append(all, book("feed/"+name, want, f)) }
	feedOf("told from the beginning", clean, &watchers{meter: m})
	gap := &watchers{meter: m}
	gap.feeds[0].seen = 1 // and the watch begins with revision 1
	feedOf("told twice", wrong, gap)
	ahead := &watchers{meter: m}
	ahead.feeds[0].seen = 3
	feedOf("told what is not there", wrong, ahead)
	return all
}

func ofCounts(m *meter) (all []judgement) {
	for _, c := range []struct {
		name             string
		want             count
		applied, unknown int64
	}{
		{"as it is", clean, 1, 0}, {"of unknown outcome", clean, 0, 1}, {"lost", lost, 2, 0}, {"twice", twice, 0, 0},
	} {
		k, h := &counters{meter: m}, &increments{meter: m}
		for _, t := range []*tally{&k.each[0], &h.each[0]} {
			t.note(applied, c.applied)
			t.note(unknown, c.unknown)
		}
		all = append(all, book("counter/"+c.name, c.want, k), book("hot/"+c.name, c.want, h))
	}
	return all
}

func ofScans(m *meter) (all []judgement) {
	object := func(root, path string, version uint64) *appclient.Object {
		return &appclient.Object{Root: root, Path: path, Version: version}
	}
	of := func(name string, want count, acked uint64, told ...*appclient.Object) {
		k := &scans{meter: m}
		k.check(told, [scanRoots]uint64{acked})
		all = append(all, book("scan/"+name, want, k))
	}
	of("whole batches", clean, 2, object("scan/0", "0001", 1), object("scan/0", "0002", 2), object("scan/0", scanStamp, 2))
	of("part of a batch", wrong, 1, object("scan/0", "0001", 2), object("scan/0", scanStamp, 1))
	of("the stamp alone is old", wrong, 2, object("scan/0", scanStamp, 1))
	of("a root left out", wrong, 2)
	of("out of order", wrong, 1, object("scan/0", scanStamp, 1), object("scan/0", "0001", 1))
	of("roots out of order", wrong, 1, object("scan/1", scanStamp, 1), object("scan/0", scanStamp, 1))
	of("an object twice", wrong, 1, object("scan/0", scanStamp, 1), object("scan/0", scanStamp, 1))
	gone := &scans{meter: m}
	gone.acked[0].Store(2)
	return append(all, book("scan/lost", lost, gone))
}

func ofLapses(m *meter) (all []judgement) {
	of := func(name string, want count, books ...lapse) *lapses {
		k := &lapses{meter: m, within: time.Second}
		k.each[0] = books
		all = append(all, book("lapse/"+name, want, k))
		return k
	}
	of("there for long", clean, lapse{path: "0", long: true})
	of("ended", clean, lapse{path: "ended"})
	of("lost", lost, lapse{path: "ended", long: true})
	of("there again in the end", wrong, lapse{path: "0", gone: true, long: true})
	of("does not end", wrong, lapse{path: "0"})
	seen := lapse{path: "1"}
	k := of("there again", wrong)
	k.check("lapse/0", &seen, false)
	k.check("lapse/0", &seen, true)
	of("too early", wrong).check("lapse/0", &lapse{path: "1", long: true}, false)
	of("in its time", clean).check("lapse/0", &lapse{path: "1", long: true}, true)
	return all
}

func ofOutcomes(m *meter) (all []judgement) {
	of := func(name string, want count, books ...settled) *outcomes {
		k := &outcomes{meter: m}
		k.each[0] = books
		all = append(all, book("outcome/"+name, want, k))
		return k
	}
	of("as it is", clean, settled{"0", appclient.Applied, true}, settled{"1", appclient.NeverApplied, true}, settled{"2", appclient.Forgotten, true})
	of("applied and not there", lost, settled{"1", appclient.Applied, true})
	of("never applied and there", wrong, settled{"0", appclient.NeverApplied, true})
	of("refused and there", wrong, settled{"0", appclient.Refused, true})
	for state, want := range map[appclient.State]count{appclient.Applied: clean, appclient.Forgotten: clean, appclient.NeverApplied: wrong, appclient.Refused: wrong} {
		of("acknowledged, then "+state.String(), want).check(&settled{path: "0", told: appclient.Applied}, state)
	}
	return all
}

func ofStales(m *meter) (all []judgement) {
	began := time.Now()
	of := func(name string, want count, at time.Duration, version uint64) {
		k := &stales{meter: m}
		k.each[0].all = []acknowledgement{{began, 1}, {began.Add(time.Second), 2}}
		k.check(0, 0, version, k.each[0].before(began.Add(at)))
		all = append(all, book("stale/"+name, want, k))
	}
	of("new enough", clean, 2*time.Second, 2)
	of("as old as it may be", clean, time.Second, 1)
	of("too old", wrong, time.Second+1, 1)
	of("nothing of what was there", wrong, 1, 0)
	return all
}

func ofQueries(m *meter) (all []judgement) {
	at := func(path string) objectAt { return objectAt{"query/0", path} }
	entry := func(path string, n uint64) indexed { return indexed{at(path), float64(n), n} }
	of := func(name string, want count, told ...indexed) *queries {
		k := newQueries(m)
		k.late[at("0003")] = []uint64{1}
		k.check(told, map[objectAt]uint64{at("0001"): 1})
		all = append(all, book("query/"+name, want, k))
		return k
	}
	of("as it is", clean, entry("0001", 1), entry("0002", 2))
	of("left out", wrong, entry("0002", 2))
	of("too old", wrong, entry("0001", 0))
	of("twice", wrong, entry("0001", 1), entry("0001", 1))
	of("out of order", wrong, entry("0002", 2), entry("0001", 1))
	of("under another key", wrong, indexed{at("0001"), float64(2), 1})
	of("lost", lost, entry("0001", 1)).acked[at("0001")] = 3
	of("object lost", lost, entry("0001", 1)).acked[at("0003")] = 3
	late := of("a late write", clean, entry("0001", 1))
	late.acked[at("0002")], late.late[at("0002")] = 3, []uint64{2}
	return append(all, book("query/never answered", wrong, newQueries(m)))
}

func ofBackups(m *meter) (all []judgement) {
	of := func(name string, want count, before int, told ...told) {
		pg := &page{root: "ledger/0/0", told: told}
		b := &backups{ledger: &ledger{meter: m, roots: []*page{pg}}, before: map[string]int{pg.root: before}}
		all = append(all, judgement{"backup/" + name, want, b.compare})
	}
	of("as it is", clean, 2, told{applied, 1}, told{applied, 2})
	of("of while it was made", clean, 2, told{applied, 1}, told{applied, 2}, told{applied, 3})
	of("lost", lost, 3, told{applied, 1}, told{applied, 2}, told{applied, 3})
	of("refused and there", wrong, 2, told{applied, 1}, told{refused, 0})
	of("nobody wrote it", wrong, 1, told{applied, 1})
	hole := &ledger{meter: m, roots: []*page{{root: "ledger/0/x", told: []told{{applied, 1}}}, {root: "ledger/0/0", told: []told{{applied, 1}, {applied, 2}}}}}
	all = append(all, judgement{"backup/later without earlier", wrong, (&backups{ledger: hole}).compare})
	return all
}

// ofValues come last: they write other values than those in the books.
func ofValues(m *meter) (all []judgement) {
	books := &ledger{meter: m, roots: []*page{{root: "ledger/0/0", told: []told{{unknown, 0}, {unknown, 0}}}}}
	want := map[string]count{"ledger": {doubled: 1, wrong: 1}, "backup": wrong} // a version too many, too
	for name, judge := range map[string]func(context.Context, *appclient.Client, *Verdict) error{
		"ledger": books.roots[0].judge, "backup": (&backups{ledger: books}).compare,
	} {
		all = append(all, judgement{name + "/another value", want[name], func(ctx context.Context, c *appclient.Client, v *Verdict) error {
			if _, err := c.Root("ledger/0/0").Put(ctx, "0000", []byte(name)); err != nil {
				return err
			}
			return judge(ctx, c, v)
		}})
	}
	return all
}

// TestReportIsRed: one of each is enough.
func TestReportIsRed(t *testing.T) {
	for _, r := range []*Report{
		{Verdict: Verdict{Lost: 1}},
		{Verdict: Verdict{Doubled: 1}},
		{Verdict: Verdict{Wrong: 1}},
		{Strange: map[string]int{"an error": 1}},
	} {
		if r.Good() {
			t.Errorf("%s is good", fmt.Sprint(r.Verdict, r.Strange))
		}
		r.Print(io.Discard)
	}
	if !(&Report{}).Good() {
		t.Error("a report of nothing is not good")
	}
}
