package plan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

func three(t *testing.T) *ring.Document {
	t.Helper()
	var m []ring.Member
	for i := range 3 {
		m = append(m, ring.Member{JID: fmt.Sprintf("dn%d@d/store", i+1), Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)})
	}
	d, err := ring.New(m, ring.Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: 16})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func joining(t *testing.T, d *ring.Document) (*Plan, Wish) {
	t.Helper()
	w := Wish{Verb: "join", Command: "ringctl join dn4", Replica: 1 << 20, Free: map[uint64]uint64{4: 1 << 20}}
	w.Members = d.NewMember(slices.Clone(d.Members), ring.Member{JID: "dn4@d/store", Store: "00000000-0000-4000-8000-000000000004"})
	p, err := Make(d, w)
	if err != nil {
		t.Fatal(err)
	}
	return p, w
}

// TestPlanToDocument: what is written to a file begins the change that was shown.
func TestPlanToDocument(t *testing.T) {
	d := three(t)
	p, w := joining(t, d)
	if p.Moves != 12 || p.Least != 12 || p.Bytes != 12<<20 || p.Gets()[4] != 12 || !strings.HasPrefix(p.ID, "join-e1-") {
		t.Errorf("%+v", p)
	}
	if !slices.Contains(p.Warnings, "dn4@d/store would get about 12 MiB and can take 1 MiB") {
		t.Errorf("warnings: %q", p.Warnings)
	}
	if again, err := Make(d, w); err != nil || again.ID != p.ID || again.Checksum != p.Checksum {
		t.Error("the same ring and wish made two plans")
	}
	file := filepath.Join(t.TempDir(), "p.json")
	for range 2 { // the very same again is no error
		if err := p.Save(file); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	next, err := loaded.Document(d, 7, 9)
	if err != nil {
		t.Fatal(err)
	}
	c := next.Change
	if c.ID != p.ID || c.Moves != 12 || c.Rate != 7 || c.Begun != 9 || next.Epoch != 2 || d.CheckEdit(next) != nil {
		t.Errorf("%+v, %v", c, d.CheckEdit(next))
	}
	other := *p
	other.Moves++
	if err := other.Save(file); err == nil {
		t.Error("another plan's file was overwritten")
	}
}

// TestPlanIsRefused: another ring, and another file than was written.
func TestPlanIsRefused(t *testing.T) {
	d := three(t)
	p, _ := joining(t, d)
	newer := d.Next()
	if _, err := p.Document(newer, 0, 0); !errors.Is(err, ErrRingChanged) || !strings.Contains(err.Error(), "ringctl join dn4") {
		t.Errorf("a ring of another epoch: %v", err)
	}
	edited := d.Next()
	edited.Epoch = d.Epoch
	edited.Members[0].Zone = "z"
	if _, err := p.Document(edited, 0, 0); !errors.Is(err, ErrRingChanged) {
		t.Errorf("another ring of the same epoch: %v", err)
	}
	foreign := *d
	foreign.Cluster = "6f1a2b3c-0000-4000-8000-000000000002"
	if _, err := p.Document(&foreign, 0, 0); err == nil {
		t.Error("another cluster's ring was accepted")
	}
	file := filepath.Join(t.TempDir(), "p.json")
	if err := p.Save(file); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, put string
		want     error
	}{
		"edited":   {`"moves": 12`, `"moves": 11`, ErrDamaged},
		"more":     {`"moves": 12`, `"moves": 12, "extra": 1`, ErrDamaged},
		"newer":    {`"version": 1`, `"version": 2`, ErrNewerFormat},
		"no plan":  {string(good), `{}`, ErrDamaged},
		"no JSON":  {string(good), `x`, ErrDamaged},
		"half of":  {string(good[len(good)/2:]), ``, ErrDamaged},
		"its sums": {p.Checksum, "0000000000000000", ErrDamaged},
	} {
		bad := strings.Replace(string(good), c.old, c.put, 1)
		if bad == string(good) {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := decode([]byte(bad)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestIdlePlans: only where nothing at all would change is there nothing to do.
func TestIdlePlans(t *testing.T) {
	d := three(t)
	even, err := Make(d, Wish{Verb: "rebalance", Members: slices.Clone(d.Members)})
	if err != nil || !even.Idle(d) {
		t.Errorf("an even ring: %+v, %v", even, err)
	}
	members := slices.Clone(d.Members)
	members[0].Zone = "a"
	if p, err := Make(d, Wish{Verb: "rebalance", Members: members}); err != nil || p.Idle(d) {
		t.Errorf("a new zone: %+v, %v", p, err)
	}
	if p, _ := joining(t, d); p.Idle(d) {
		t.Error("a join")
	}
}

// TestMoreReplicasWarn: the number of replicas is a way of no return, and the plan
// says so; one that stays is not talked about.
func TestMoreReplicasWarn(t *testing.T) {
	d := three(t)
	_, w := joining(t, d)
	warns := func(replicas int) bool {
		w.Replicas = replicas
		p, err := Make(d, w)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "4 replicas instead of 3 cannot be undone") })
	}
	if !warns(4) || warns(3) || warns(0) {
		t.Errorf("warned of 4, 3 and as many as now: %t, %t, %t", warns(4), warns(3), warns(0))
	}
}
