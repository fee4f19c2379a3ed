package ring_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestCheckEdit: what a person's document may change, and what not.
func TestCheckEdit(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(n *ring.Document)
		want string // "": it may
	}{
		"nothing":      {func(*ring.Document) {}, ""},
		"grant":        {func(n *ring.Document) { n.Access = []ring.Grant{{Account: "a@b"}} }, ""},
		"zone":         {func(n *ring.Document) { n.Members[0].Zone = "z" }, ""},
		"cluster":      {func(n *ring.Document) { n.Cluster = "6f1a2b3c-0000-4000-8000-000000000009" }, "of cluster"},
		"epoch":        {func(n *ring.Document) { n.Epoch++ }, "cannot follow"},
		"partitions":   {func(n *ring.Document) { n.Partitions++ }, "fixed"},
		"table":        {func(n *ring.Document) { n.Table[0] = []uint64{1, 2} }, "the table has to stay"},
		"meta":         {func(n *ring.Document) { n.Meta = []uint64{1} }, "the table has to stay"},
		"last id":      {func(n *ring.Document) { n.LastID = 1 }, "was given before"},
		"other JID":    {func(n *ring.Document) { n.Members[0].JID = "x@y/store" }, "gets another id"},
		"other disk":   {func(n *ring.Document) { n.Members[0].Store = cluster }, "gets another id"},
		"id again":     {func(n *ring.Document) { n.Members = append(n.Members, ring.Member{ID: 4}); n.LastID = 5 }, "was given before"},
		"many grants":  {func(n *ring.Document) { n.Access = grants(1024, 20) }, ""},
		"large grants": {func(n *ring.Document) { n.Access = grants(600, 400) }, "the limit is 163840"},
		"removal":      {func(n *ring.Document) { n.Members = n.Members[:2] }, "leaves by a change"},
	} {
		d := mustNew(t, members(3, nil), ring.Options{Partitions: 5})
		d.LastID = 5
		n := d.Next()
		n.Table = make([][]uint64, len(d.Table)) // rows of its own, to be spoilt
		for p := range n.Table {
			n.Table[p] = slices.Clone(d.Table[p])
		}
		c.edit(n)
		err := d.CheckEdit(n)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// grants are so many, with prefixes of so many bytes.
func grants(count, bytes int) (all []ring.Grant) {
	for i := range count {
		all = append(all, ring.Grant{Account: fmt.Sprintf("tenant-%d@example.org", i), Prefix: strings.Repeat("p", bytes), Write: true})
	}
	return all
}

// TestCheckCatalog: what of another cluster's indexes and grants this one could take over.
func TestCheckCatalog(t *testing.T) {
	d := mustNew(t, members(3, nil), ring.Options{Partitions: 5})
	d.Indexes = []ring.Index{{Name: "i", ID: 1, Field: "f"}}
	d.Access = []ring.Grant{{Account: "a@b", Write: true}}
	index := func(name, field string) ring.Index { return ring.Index{Name: name, ID: 9, Field: field} }
	for name, c := range map[string]struct {
		indexes []ring.Index
		grants  []ring.Grant
		want    string // "": all
	}{
		"nothing":           {},
		"the same":          {[]ring.Index{index("i", "f")}, d.Access, ""},
		"more":              {[]ring.Index{index("j", "f"), index("k", "f")}, []ring.Grant{{Account: "c@d"}}, ""},
		"another index":     {[]ring.Index{index("i", "g")}, nil, "another definition"},
		"a grant's place":   {nil, []ring.Grant{{Account: "a@b"}}, ""},
		"grants that clash": {nil, []ring.Grant{{Account: "c@d"}, {Account: "c@d", Write: true}}, "which one"},
		"too many with its": {nil, grants(1024, 0), "the limit is 1024"},
		"too large":         {nil, grants(600, 400), "grant shorter"},
	} {
		if err := d.CheckCatalog(c.indexes, c.grants); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestTooLargeMayShrink: of a document that is too large already grants may be taken back.
func TestTooLargeMayShrink(t *testing.T) {
	d := mustNew(t, members(3, nil), ring.Options{Partitions: 5})
	d.Access = grants(600, 400)
	n := d.Next()
	n.Access = d.Access[1:]
	if err := d.CheckEdit(n); err != nil {
		t.Error(err)
	}
}

// TestCatalog: indexes get ids that no other has or will have; grants replace one
// another.
func TestCatalog(t *testing.T) {
	d := mustNew(t, members(3, nil), ring.Options{Partitions: 5})
	seen := map[uint32]bool{}
	for range 3 {
		n, err := d.AddIndex(ring.Index{Name: "a", Field: "f"})
		if err != nil || seen[n.Indexes[0].ID] {
			t.Fatalf("%+v, %v", n.Indexes, err)
		}
		seen[n.Indexes[0].ID] = true
		if _, err := n.AddIndex(ring.Index{Name: "a", Field: "g"}); err == nil {
			t.Error("a name was given twice")
		}
		if d, err = n.DropIndex("a"); err != nil || len(d.Indexes) != 0 || len(n.Indexes) != 1 {
			t.Fatalf("%+v, %v", d.Indexes, err)
		}
	}
	if _, err := d.DropIndex("a"); err == nil {
		t.Error("an index that is not there was dropped")
	}
	d, err := d.Grant(ring.Grant{Account: "a@b", Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	if d, err = d.Grant(ring.Grant{Account: "a@b", Prefix: "p/", Write: true}); err != nil || len(d.Access) != 1 || !d.Access[0].Write {
		t.Errorf("%+v, %v", d.Access, err)
	}
	if _, err := d.Grant(ring.Grant{Account: "nobody"}); err == nil {
		t.Error("a grant to no account was accepted")
	}
	if _, err := d.Revoke("a@b", ""); err == nil {
		t.Error("a grant that is not there was taken back")
	}
	if d, err = d.Revoke("a@b", "p/"); err != nil || len(d.Access) != 0 {
		t.Errorf("%+v, %v", d.Access, err)
	}
}
