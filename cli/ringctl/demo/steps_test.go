package demo

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dialFake returns a client of an in-memory cluster.
func dialFake(t *testing.T) *appclient.Client {
	t.Helper()
	cluster, err := appclienttest.Start(appclienttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := appclient.Dial(ctx, cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestLoadAndFindWhatIsWrong: what was loaded reads back equal, and the checks
// find an object that is missing, one with other bytes, and one too many.
func TestLoadAndFindWhatIsWrong(t *testing.T) {
	c := dialFake(t)
	set, err := sampleDataset()
	if err != nil {
		t.Fatal(err)
	}
	quiet := newProgress(io.Discard, false, "", set.values())
	m, err := load(t.Context(), c, set, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if want := set.Files + len(set.Packages) + 1; len(m.objects) != want || m.bytes != set.values() {
		t.Errorf("%d objects with %d bytes loaded, want %d with %d", len(m.objects), m.bytes, want, set.values())
	}
	checks := func(want int) {
		t.Helper()
		wrong, err := readBack(t.Context(), c, m, quiet)
		if err != nil || wrong != want {
			t.Errorf("read back: %d wrong, %v; want %d", wrong, err, want)
		}
	}
	checks(0)
	if missing, err := listAll(t.Context(), c, m); err != nil || missing != 0 {
		t.Errorf("list: %d missing, %v", missing, err)
	}

	if _, err := c.Root("io").Put(t.Context(), "io.go", []byte("other bytes")); err != nil {
		t.Fatal(err)
	}
	checks(1)
	if err := c.Root("time").Delete(t.Context(), "time.go"); err != nil {
		t.Fatal(err)
	}
	checks(2)
	if _, err := c.Root("net").Put(t.Context(), "unwritten.go", nil); err != nil {
		t.Fatal(err)
	}
	if wrong, err := listAll(t.Context(), c, m); err != nil || wrong != 2 {
		t.Errorf("list after one was deleted and one added: %d wrong, %v", wrong, err)
	}
}

func TestFollow(t *testing.T) {
	c := dialFake(t)
	put := func(root string, refs ...string) {
		t.Helper()
		var list []appclient.Ref
		for _, r := range refs {
			list = append(list, appclient.Ref{Root: r})
		}
		if _, err := c.Root(root).Put(t.Context(), "", nil, appclient.WithRefs(list...)); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "b", "end")
	put("b", "a", "end")
	put("end")
	hops, err := follow(t.Context(), c, "a")
	var roots []string
	for _, h := range hops {
		roots = append(roots, h.root)
	}
	if err != nil || !slices.Equal(roots, []string{"a", "b", "end"}) {
		t.Errorf("followed %v, %v", roots, err)
	}
	put("x", "y")
	put("y", "x")
	if _, err := follow(t.Context(), c, "x"); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle: %v", err)
	}
	put("x", "nowhere")
	if _, err := follow(t.Context(), c, "x"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a dangling reference: %v", err)
	}
}

func TestChainFitsTheTerminal(t *testing.T) {
	var hops []hop
	for range 12 {
		hops = append(hops, hop{root: "internal/reflectlite", leader: "dn3"})
	}
	text := chainText(hops)
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > 76 {
			t.Errorf("too wide: %q", line)
		}
	}
	if strings.Count(text, "→") != len(hops)-1 {
		t.Errorf("%q", text)
	}
}

// TestStreamRemembersAcknowledgements: every acknowledged write is in the
// ledger once, none has the key of another, and all read back.
func TestStreamRemembersAcknowledgements(t *testing.T) {
	c := dialFake(t)
	killed := false
	pl := plan{writers: 8, writes: 600, killAt: 200, limit: 20 * time.Second}
	all := map[string]bool{}
	for i := range streamRoots {
		all[streamRoot(i)] = true
	}
	r, err := stream(t.Context(), c, pl, all, func() error { killed = true; return nil })
	if err != nil || !killed {
		t.Fatalf("killed %v, %v", killed, err)
	}
	m := r.manifest()
	if len(m.objects) != len(r.acks) || len(r.acks) < pl.writes {
		t.Errorf("%d acknowledgements of %d objects", len(r.acks), len(m.objects))
	}
	if len(r.errs) > 0 || r.longestGap <= 0 || r.moved == 0 {
		t.Errorf("errors %v, gap %v, moved %d", r.errs, r.longestGap, r.moved)
	}
	wrong, err := readBack(t.Context(), c, m, newProgress(io.Discard, false, "", 0))
	if err != nil || wrong != 0 {
		t.Errorf("%d wrong, %v", wrong, err)
	}
}

// TestJudge: each thing that did not hold keeps the report from being ok.
func TestJudge(t *testing.T) {
	pl := standard()
	good := func() *streamResult {
		return &streamResult{acks: make([]ack, pl.writes), elapsed: time.Second, moved: 1}
	}
	for _, c := range []struct {
		name          string
		change        func(*streamResult)
		lost, missing int
		problems      int
	}{
		{"all held", func(*streamResult) {}, 0, 0, 0},
		{"lost", func(*streamResult) {}, 1, 0, 1},
		{"missing", func(*streamResult) {}, 0, 1, 1},
		{"failed", func(r *streamResult) { r.errs = []error{io.EOF} }, 0, 0, 1},
		{"too few", func(r *streamResult) { r.acks = r.acks[1:] }, 0, 0, 1},
		{"nobody took over", func(r *streamResult) { r.moved = 0 }, 0, 0, 1},
	} {
		tr := &tour{report: &Report{}}
		r := good()
		c.change(r)
		tr.judge(r, pl, c.lost, c.missing)
		if len(tr.report.Problems) != c.problems {
			t.Errorf("%s: %v", c.name, tr.report.Problems)
		}
	}
}

func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false, "writing", 4<<20)
	p.add(3, 1<<20)
	p.finish()
	if got := out.String(); !strings.Contains(got, "writing:  25%, 3 objects, 1.0 of 4.0 MiB") || !strings.Contains(got, "left") {
		t.Errorf("%q", got)
	}
}
