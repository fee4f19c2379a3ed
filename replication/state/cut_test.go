package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// cutter is a partition that is written to at times of the test's choice.
type cutter struct {
	t *testing.T
	p *Partition
	s *Store
	i uint64
}

func newCutter(t *testing.T, f Faults) *cutter {
	s, err := OpenStore(filepath.Join(t.TempDir(), "state.db"), Options{NoSync: true, Faults: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := s.Partition(0)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, p: p, s: s, i: 1}
	p.Apply(1, 1, EncodeOpen(nil, 1, "app@example.org"))
	return c
}

func (c *cutter) put(now int64, root, path string, ttl int64) {
	c.t.Helper()
	c.i++
	res := c.p.Apply(c.i, 1, EncodeWrite(nil, now, OwnerOf("app@example.org"), &op.Write{
		Root: root, Session: 1, Seq: c.i, Floor: c.i,
		Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: fmt.Append(nil, now), TTL: ttl, Refs: []op.Ref{{Root: "x"}}}},
	}))
	if res.Code != op.OK {
		c.t.Fatalf("put: %+v", res)
	}
}

// objects lists what a picture shows at a log time, a page of two at a time.
func objects(t *testing.T, v *Picture, now int64) (out []string) {
	t.Helper()
	var from *Place
	for {
		n := 0
		err := v.Objects(from, true, now, func(o *op.Object) bool {
			if n++; n > 2 {
				return false
			}
			from = &Place{o.Root, o.Path}
			out = append(out, fmt.Sprintf("%s/%s=%s@%d", o.Root, o.Path, o.Value, o.Version))
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if n <= 2 {
			return out
		}
	}
}

// TestCutHasWhatWasBefore and nothing of later, flushed or not. The seeded fault
// takes the picture with the entry that is too late.
func TestCutHasWhatWasBefore(t *testing.T) {
	want := []string{"a/=100@1", "a/p=200@2", "b/=300@1", "b/short=250@2"}
	for _, fault := range []bool{false, true} {
		c := newCutter(t, Faults{CutTooLate: fault})
		c.put(100, "a", "", 0)
		c.put(200, "a", "p", 0)
		if err := c.s.Flush(); err != nil {
			t.Fatal(err)
		}
		var got *Picture
		if err := c.p.CutAt(300, func(v *Picture, err error) { got = v }); err != nil {
			t.Fatal(err)
		}
		if due := c.p.CutDue(); due != 301 {
			t.Errorf("due at %d", due)
		}
		c.put(300, "b", "", 0)
		c.put(250, "b", "short", 100) // log time does not fall: it is of 300
		if got != nil {
			t.Fatal("a picture although more of that time may come")
		}
		c.put(301, "a", "p", 0)
		if got == nil {
			t.Fatal("no picture")
		}
		c.put(302, "a", "q", 0)
		if err := c.s.Flush(); err != nil {
			t.Fatal(err)
		}
		list := objects(t, got, 300)
		if same := slices.Equal(list, want); same == fault {
			t.Errorf("fault %v: %q, want %q", fault, list, want)
		}
		if !fault && len(objects(t, got, 400)) != 3 {
			t.Error("what has expired at the time asked for is there")
		}
		if c.p.CutDue() != 0 {
			t.Error("the cut is still due")
		}
		got.Close()
	}
}

func TestCutsThatCannotBe(t *testing.T) {
	c := newCutter(t, Faults{})
	c.put(500, "a", "", 0)
	if err := c.p.CutAt(499, nil); !errors.Is(err, ErrPassed) {
		t.Errorf("a cut in the past: %v", err)
	}
	var as *Picture
	if err := c.p.CutAt(499-astray, func(v *Picture, err error) { as = v }); err != nil || as == nil || as.Time() != 500 || c.p.CutDue() != 0 {
		t.Errorf("a partition whose log time went astray: %v, %v", as, err)
	} else {
		as.Close()
	}
	failed := 0
	for range maxCuts {
		if err := c.p.CutAt(600, func(v *Picture, err error) {
			if errors.Is(err, ErrPassed) {
				failed++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.p.CutAt(600, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("too many: %v", err)
	}
	// The state of another replica, which is beyond the cut, takes its place.
	other := newCutter(t, Faults{})
	for range 3 {
		other.put(700, "a", "", 0)
	}
	if err := copyState(other.p, c.p); err != nil {
		t.Fatal(err)
	}
	if failed != maxCuts || c.p.CutDue() != 0 {
		t.Errorf("%d cuts failed, due at %d", failed, c.p.CutDue())
	}
}
