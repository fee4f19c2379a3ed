package ring

import (
	"fmt"
	"math"
	"slices"
)

// AddIndex returns the document with one more index, to which it gives an id:
// the epoch that defines it, which no other index has or will have. Errors: the
// name is taken, or what Validate finds.
func (d *Document) AddIndex(x Index) (*Document, error) {
	if i := slices.IndexFunc(d.Indexes, func(y Index) bool { return y.Name == x.Name }); i >= 0 {
		return nil, fmt.Errorf("there is an index %s with another definition: give this one another name, and drop the old one when nothing queries it any more", x.Name)
	}
	n := d.Next()
	if n.Epoch > math.MaxUint32 {
		return nil, fmt.Errorf("no ids are left for indexes at epoch %d", n.Epoch)
	}
	x.ID = uint32(n.Epoch)
	n.Indexes = append(n.Indexes, x)
	return n, n.Validate()
}

// CheckCatalog says why indexes and grants from elsewhere, such as a backup's header, could not
// be taken over, beside those that d has: an index that is there has to be the same, but for
// its id, and a grant takes the place of one of the same account and prefix. Of an empty
// document it says what no ring would take.
func (d *Document) CheckCatalog(indexes []Index, grants []Grant) error {
	n := Document{Indexes: slices.Clone(d.Indexes)}
	for _, x := range indexes {
		i := slices.IndexFunc(n.Indexes, func(y Index) bool { return y.Name == x.Name })
		if i < 0 {
			n.Indexes = append(n.Indexes, x)
			continue
		}
		if x.ID = n.Indexes[i].ID; x != n.Indexes[i] {
			return fmt.Errorf("index %s has another definition already: which one?", x.Name)
		}
	}
	for i := range n.Indexes { // ids are given anew
		n.Epoch++
		n.Indexes[i].ID = uint32(n.Epoch)
	}
	type key struct{ account, prefix string }
	given := make(map[key]Grant)
	for _, g := range grants {
		k := key{g.Account, g.Prefix}
		if had, twice := given[k]; twice {
			if had != g {
				return fmt.Errorf("two grants for %s on %q: which one?", g.Account, g.Prefix)
			}
			continue
		}
		given[k] = g
		n.Access = append(n.Access, g)
	}
	for _, g := range d.Access {
		if _, replaced := given[key{g.Account, g.Prefix}]; !replaced {
			n.Access = append(n.Access, g)
		}
	}
	if err := n.validateIndexes(); err != nil {
		return err
	}
	if err := n.validateAccess(); err != nil {
		return err
	}
	return n.checkCatalogSize(d)
}

// DropIndex returns the document without an index. Errors: there is none of that name.
func (d *Document) DropIndex(name string) (*Document, error) {
	n := d.Next()
	n.Indexes = slices.DeleteFunc(n.Indexes, func(x Index) bool { return x.Name == name })
	if len(n.Indexes) == len(d.Indexes) {
		return nil, fmt.Errorf("there is no index %s", name)
	}
	return n, nil
}

// Grant returns the document with a grant, in place of one of the same account
// and prefix. Errors: what Validate finds.
func (d *Document) Grant(g Grant) (*Document, error) {
	n := d.Next()
	n.Access = slices.DeleteFunc(n.Access, func(x Grant) bool { return x.Account == g.Account && x.Prefix == g.Prefix })
	n.Access = append(n.Access, g)
	return n, n.Validate()
}

// Revoke returns the document without a grant. Errors: there is none like that.
func (d *Document) Revoke(account, prefix string) (*Document, error) {
	n := d.Next()
	n.Access = slices.DeleteFunc(n.Access, func(x Grant) bool { return x.Account == account && x.Prefix == prefix })
	if len(n.Access) == len(d.Access) {
		return nil, fmt.Errorf("%s has no grant on %q", account, prefix)
	}
	return n, nil
}
