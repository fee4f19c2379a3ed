package command

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/cli/ringctl/plan"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

var update = flag.Bool("update", false, "write the golden files anew; review them as a diff")

// golden compares output with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: run the test with -update and look at the diff; got\n%s", name, got)
	}
}

func goldenRing(t *testing.T) *ring.Document {
	t.Helper()
	var m []ring.Member
	for i := range 3 {
		m = append(m, ring.Member{
			JID: fmt.Sprintf("dn%d@example.org/store", i+1), Zone: string(rune('a' + i)),
			Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1),
		})
	}
	d, err := ring.New(m, ring.Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 12})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestGolden fixes what people and scripts see.
func TestGolden(t *testing.T) {
	d := goldenRing(t)
	w := plan.Wish{Verb: "replace", Command: "ringctl replace dn3 dn4", Replica: 3 << 20, Down: map[uint64]bool{3: true}}
	w.Members = d.NewMember(slices.Clone(d.Members), ring.Member{JID: "dn4@example.org/store", Store: "00000000-0000-4000-8000-000000000004", Zone: "a", Weight: 2})
	w.Members[2].State = ring.Leaving
	p, err := plan.Make(d, w)
	if err != nil {
		t.Fatal(err)
	}
	next, err := p.Document(d, 1<<20, 1000)
	if err != nil {
		t.Fatal(err)
	}
	next.Indexes = []ring.Index{{Name: "by-sku", ID: 2, Prefix: "cart/", Path: "*", Field: "sku"}}
	views := []admin.NodeView{
		{JID: "dn1@example.org/store", Online: true, Health: wire.Health{State: "ok", Epoch: 2, Held: 12, DiskUsed: 3 << 20, DiskFree: 5 << 30}},
		{JID: "dn2@example.org/store", Online: true, Show: "dnd", Text: "disk full", Health: wire.Health{State: "full", Epoch: 2, Held: 12}},
		{JID: "dn9@example.org/store", Online: true, Show: "xa", Health: wire.Health{State: "joining"}},
	}
	leaders := &admin.Leaders{
		Led: 12, ByNode: map[string]int{"dn1@example.org/store": 12},
		Behind: map[string]admin.Behind{"dn3@example.org/store": {Groups: 12, Entries: 480}},
	}
	progress := &admin.Progress{
		Running: true, Epoch: 9, ID: p.ID, Moves: 12, Done: 5, Bytes: 36 << 20, BytesDone: 15 << 20, Throttle: 1 << 20, BegunMS: 1000, RoundsLeft: 1,
		Nodes: []admin.Share{
			{Node: "dn1", JID: "dn1@example.org/store", Member: 1, State: "active", Online: true, Holds: 12},
			{Node: "dn4", JID: "dn4@example.org/store", Member: 4, State: "joining", Holds: 5, Gets: 7, Catches: 2, Behind: 480},
		},
		Stalls: []string{"dn4 is down, and 7 replicas are to go there: start it, or `ringctl cancel`"},
	}
	moving := *progress
	moving.Stalls = nil
	moving.SetRate(1 << 20)
	scrub := &admin.Scrub{
		Done: true, Partitions: 13, Compared: 11, Undecided: []uint32{7},
		Nodes: []admin.ScrubShare{
			{Node: "dn1", JID: "dn1@example.org/store", Member: 1, Reading: 2},
			{Node: "dn2", JID: "dn2@example.org/store", Member: 2, Mismatches: 1, Damaged: 2, Repaired: 1, Mending: 1},
		},
		Unfinished: []admin.Unfinished{{Partition: ring.MetaPartition, Why: "2 of 3 replicas are equal; start dn3"}},
		Missing:    []admin.Missing{{Node: "dn3", Why: "start dn3", Partitions: 13}},
	}
	for name, show := range map[string]func(env Env) error{
		"plan.txt":            func(env Env) error { printPlan(env, p, d); return nil },
		"plan.json":           func(env Env) error { return writeJSON(env.Stdout, p) },
		"status.txt":          func(env Env) error { return summarize(next, views, leaders).print(env, formatTable) },
		"status.json":         func(env Env) error { return summarize(next, views, leaders).print(env, formatJSON) },
		"progress.txt":        func(env Env) error { return printProgress(env, progress, formatTable) },
		"progress-moving.txt": func(env Env) error { return printProgress(env, &moving, formatTable) },
		"progress.json":       func(env Env) error { return printProgress(env, progress, formatJSON) },
		"scrub.txt":           func(env Env) error { printScrub(env, scrub); return nil },
		"scrub.json":          func(env Env) error { return writeJSON(env.Stdout, scrub) },
		"progress-ended.txt": func(env Env) error {
			var was endOfChange
			was.note(progress)
			return printProgress(env, was.note(&admin.Progress{Epoch: 10}), formatTable)
		},
		"progress-canceled.txt": func(env Env) error {
			var was endOfChange
			was.note(&admin.Progress{Running: true, ID: p.ID, Canceled: true})
			return printProgress(env, was.note(&admin.Progress{Epoch: 10, Uneven: 4}), formatTable)
		},
		"progress-none.txt": func(env Env) error { return printProgress(env, &admin.Progress{Epoch: 9}, formatTable) },
	} {
		env, out, _ := testEnv()
		if err := show(env); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.Bytes())
	}
}

// TestSimulateGolden: the whole command, on a few keys.
func TestSimulateGolden(t *testing.T) {
	var keys bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&keys, "user/%d\n", i)
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, keys.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"simulate.txt":  {"ringctl", "simulate", "--nodes", "3,5,4", file},
		"simulate.json": {"ringctl", "simulate", "--strategies", "rosterdb", "--partitions", "64", "-o", "json", file},
	} {
		env, out, errs := testEnv()
		if code := Run(t.Context(), env, args); code != ExitOK {
			t.Fatalf("code %d: %s", code, errs)
		}
		golden(t, name, out.Bytes())
	}
}

// TestWrongPlans: what is wrong is told before anybody is asked.
func TestWrongPlans(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"join"}, "names of data nodes", ExitUsage},
		{[]string{"join", "dn4", "--yes"}, "put flags first", ExitUsage},
		{[]string{"join", "--weight", "0", "dn4"}, "choose 1 or more", ExitUsage},
		{[]string{"replace", "dn4"}, "OLD and NEW", ExitUsage},
		{[]string{"rebalance", "--zone", "dn4"}, "NODE=ZONE", ExitUsage},
		{[]string{"rebalance", "--weight", "dn4=x"}, "NODE=NUMBER", ExitUsage},
		{[]string{"throttle", "fast"}, "20MiB", ExitUsage},
		{[]string{"throttle", "5"}, "5KiB or 5MiB, or 5B", ExitUsage},
		{[]string{"commit", "--rate", "65535", "x"}, "without a unit", ExitUsage},
		{[]string{"bootstrap", "--partitions", "0", "dn1@localhost"}, "--partitions 0", ExitUsage},
		{[]string{"bootstrap", "--partitions", "-1", "dn1@localhost"}, "1 or more", ExitUsage},
		{[]string{"bootstrap", "--replicas", "0", "dn1@localhost"}, "--replicas 0", ExitUsage},
		{[]string{"bootstrap", "dn1"}, "dn1@example.org", ExitUsage},
		{[]string{"throttle", "9999999999GiB"}, "20MiB", ExitUsage},
		{[]string{"commit", "--rate", "0", "x"}, "20MiB", ExitUsage},
		{[]string{"commit", "no-such-file"}, "read plan", ExitUsage},
		{[]string{"index", "create", "x"}, "--field", ExitUsage},
		{[]string{"access", "grant"}, "an account", ExitUsage},
		{[]string{"access", "grant", "notajid"}, "a bare JID", ExitUsage},
		{[]string{"access", "grant", "user1@localhost/res"}, "a bare JID", ExitUsage},
		{[]string{"status", "--jid", "op@localhost", "--addr", "127.0.0.1"}, "HOST:PORT", ExitUsage},
		{[]string{"scrub", "x"}, "no partition", ExitUsage},
		{[]string{"scrub", "1", "--watch"}, "put flags first", ExitUsage},
		{[]string{"simulate", "--nodes", "2", "x"}, "number of replicas", ExitUsage},
		{[]string{"simulate", "no-such-file"}, "read keys", ExitUsage},
		{[]string{"put", "--ttl", "5", "a"}, "a time has a unit", ExitUsage},
		{[]string{"status", "--jid", "op"}, "as operator@example.org", ExitUsage},
		{[]string{"status", "--jid", "op@localhost", "--password-file", "no-such-file"}, "read the password", ExitUsage},
		{[]string{"--dev", "x", "status"}, "flags stand behind the command: ringctl COMMAND", ExitUsage},
		{[]string{"leave", "dn1"}, "which cluster", ExitUsage},
	} {
		env, _, errs := testEnv()
		code := Run(t.Context(), env, append([]string{"ringctl"}, c.args...))
		if code != c.code || !bytes.Contains(errs.Bytes(), []byte(c.want)) || bytes.Count(errs.Bytes(), []byte("\n")) != 1 {
			t.Errorf("%v: code %d, %s, want %d, %q", c.args, code, errs, c.code, c.want)
		}
	}
}

// TestLeastText: what zones make necessary is no waste.
func TestLeastText(t *testing.T) {
	zoned := []ring.Member{{ID: 1}, {ID: 2, Zone: "rack1"}}
	for want, p := range map[string]*plan.Plan{
		"the least possible is 72":        {Moves: 91, Least: 72},
		"without zones at least 72 would": {Moves: 91, Least: 72, Members: zoned},
		"the least possible is 91":        {Moves: 91, Least: 91, Members: zoned},
	} {
		if got := leastText(p); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestPassingStalls: what passes by itself stalls a change when it lasts.
func TestPassingStalls(t *testing.T) {
	var looks pace
	begun := time.Unix(1000, 0)
	for _, c := range []struct {
		after   time.Duration
		passing bool
		want    bool
	}{{0, true, false}, {14 * time.Second, true, false}, {15 * time.Second, true, true}, {16 * time.Second, false, false}, {40 * time.Second, true, false}} {
		p := &admin.Progress{Running: true}
		if c.passing {
			p.Passing = []string{"1 partition: dn4 is not up"}
		}
		if looks.settle(p, begun.Add(c.after)); p.Stalled() != c.want {
			t.Errorf("after %v: stalled %v", c.after, p.Stalled())
		}
	}
}

func TestRateOf(t *testing.T) {
	for s, want := range map[string]int64{"1B": 1, "65536": 65536, "5KiB": 5 << 10, "500KiB": 500 << 10, "20MiB": 20 << 20, "1GiB": 1 << 30} {
		if got, err := rateOf(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
}
