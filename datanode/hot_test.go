package datanode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
)

// TestHotObjectsAreFound among many more than are counted, with their rates.
func TestHotObjectsAreFound(t *testing.T) {
	var h hot
	now := time.Unix(1000, 0)
	h.init(now)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 { // seconds
		for i := range 1000 {
			root := fmt.Sprint("cold", rng.IntN(100_000))
			switch {
			case i < 300:
				root = "hottest"
			case i < 400:
				root = "hot"
			}
			h.count(false, hotKey{root, "p"}, 1, now.Add(time.Duration(i)*time.Millisecond))
		}
		now = now.Add(time.Second)
	}
	got := h.list(2, now).Reads
	if len(got) != 2 || got[0].Root != "hottest" || got[1].Root != "hot" {
		t.Fatalf("%+v", got)
	}
	for i, want := range []float64{300, 100} {
		if got[i].Rate < want*0.9 || got[i].Least > want*1.1 {
			t.Errorf("%s: %.0f to %.0f a second, want about %.0f", got[i].Root, got[i].Least, got[i].Rate, want)
		}
	}
	if len(h.reads.items) > hotKeys || len(h.reads.place) != len(h.reads.items) {
		t.Errorf("%d items, %d places", len(h.reads.items), len(h.reads.place))
	}
	if w := h.list(10, now).Writes; len(w) != 0 {
		t.Errorf("reads count as writes: %+v", w)
	}
	if late := h.list(10, now.Add(time.Hour)); len(late.Reads) != 0 {
		t.Errorf("an hour later it still has %+v", late.Reads)
	}
}

// TestHotBatches: a batch counts for each object that it changes, and not for those that it only checks.
func TestHotBatches(t *testing.T) {
	var h hot
	now := time.Unix(1000, 0)
	h.init(now)
	for range 200 * hotSample {
		h.wrote("bank", []op.Mutation{{Kind: op.Put, Path: "x"}, {Kind: op.Check, Path: "seen"}, {Kind: op.Add, Path: "n"}}, now)
	}
	got := h.list(10, now).Writes
	slices.SortFunc(got, func(a, b adminxml.HotKey) int { return strings.Compare(a.Path, b.Path) })
	if len(got) != 2 || got[0].Path != "n" || got[1].Path != "x" || got[0].Rate != got[1].Rate {
		t.Errorf("%+v", got)
	}
}

func BenchmarkHot(b *testing.B) {
	var h hot
	h.init(time.Now())
	roots := make([]string, 1<<16)
	for i := range roots {
		roots[i] = fmt.Sprint("root", i)
	}
	now := time.Now()
	for i := range b.N {
		h.read(roots[i*7919%len(roots)], "p", now)
	}
}
