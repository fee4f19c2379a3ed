package ring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a document carries beside members and table.
const (
	maxIndexes = 64
	maxGrants  = 1024
	maxName    = 64   // bytes of the name of an index or of a change
	maxPrefix  = 512  // bytes, that of a root's name
	maxPath    = 1024 // bytes of an index's path or field
)

func (d *Document) validateMeta(meta []uint64) error {
	if n := len(meta); n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("meta of %d; it has 1, 3 or 5 members", n)
	}
	return d.validateRow(meta)
}

func (d *Document) validateChange() error {
	c := d.Change
	if c == nil {
		return nil
	}
	if c.ID == "" || len(c.ID) > maxName || !printable(c.ID) {
		return fmt.Errorf("change id %q is empty, too long or not printable", c.ID)
	}
	if err := d.validateTable(c.Target); err != nil {
		return fmt.Errorf("target of change: %w", err)
	}
	if err := d.validateMeta(c.Meta); err != nil {
		return fmt.Errorf("meta group of change: %w", err)
	}
	if c.Rounds < 0 || c.Rate < 0 || c.Moves < 0 || c.Begun < 0 {
		return errors.New("a number of the change is below nought")
	}
	if c.Since > d.Epoch {
		return fmt.Errorf("the change's target is of epoch %d, the document of %d", c.Since, d.Epoch)
	}
	usable := 0
	for _, m := range d.Members {
		if m.State != Leaving {
			usable++
		}
	}
	if usable < d.Replicas && !c.Canceled {
		return fmt.Errorf("the change leaves %d members for %d replicas", usable, d.Replicas)
	}
	return nil
}

// maxCatalog is how many bytes the indexes and grants of a document may take as XML: it
// travels in one stanza of 256 KiB, with the members and the table.
const maxCatalog = 160 << 10

// catalogSize is what the indexes and grants take in a stanza, in bytes.
func (d *Document) catalogSize() int {
	b, err := json.Marshal([]any{d.Indexes, d.Access})
	if err != nil {
		return 0 // Encode fails likewise
	}
	return len(b) + 5*bytes.Count(b, []byte(`"`)) + 5*bytes.Count(b, []byte("'"))
}

// checkCatalogSize says that the indexes and grants are too large, unless before had as large ones.
func (d *Document) checkCatalogSize(before *Document) error {
	if size := d.catalogSize(); size > max(maxCatalog, before.catalogSize()) {
		return fmt.Errorf("the indexes and grants take %d bytes as XML; the limit is %d: grant shorter prefixes, or @domain instead of its accounts", size, maxCatalog)
	}
	return nil
}

func (d *Document) validateIndexes() error {
	if len(d.Indexes) > maxIndexes {
		return fmt.Errorf("%d indexes; the limit is %d", len(d.Indexes), maxIndexes)
	}
	names, ids := make(map[string]bool), make(map[uint32]bool)
	for _, x := range d.Indexes {
		switch {
		case x.Name == "" || len(x.Name) > maxName || !printable(x.Name):
			return fmt.Errorf("index name %q is empty, too long or not printable", x.Name)
		case names[x.Name]:
			return fmt.Errorf("two indexes have the name %s", x.Name)
		case x.ID == 0 || uint64(x.ID) > d.Epoch || ids[x.ID]:
			return fmt.Errorf("index %s: id %d is used twice, or no epoch up to %d", x.Name, x.ID, d.Epoch)
		case !keyPart(x.Prefix, maxPrefix):
			return fmt.Errorf("index %s: prefix %q is too long or has control characters", x.Name, x.Prefix)
		case !keyPart(x.Path, maxPath):
			return fmt.Errorf("index %s: path %q is too long or has control characters", x.Name, x.Path)
		case x.Field == "" || !keyPart(x.Field, maxPath):
			return fmt.Errorf("index %s: field %q is empty, too long or has control characters", x.Name, x.Field)
		}
		names[x.Name], ids[x.ID] = true, true
	}
	return nil
}

func (d *Document) validateAccess() error {
	if len(d.Access) > maxGrants {
		return fmt.Errorf("%d grants; the limit is %d", len(d.Access), maxGrants)
	}
	type key struct{ account, prefix string }
	seen := make(map[key]bool)
	for _, g := range d.Access {
		local, domain, ok := strings.Cut(g.Account, "@")
		switch {
		case !ok || domain == "" || strings.ContainsAny(domain, "@/") || strings.Contains(local, "/") || len(g.Account) > maxJID || !printable(g.Account):
			return fmt.Errorf("grant: account %q is no bare JID and no @domain", g.Account)
		case !keyPart(g.Prefix, maxPrefix):
			return fmt.Errorf("grant: prefix %q is too long or has control characters", g.Prefix)
		case seen[key{g.Account, g.Prefix}]:
			return fmt.Errorf("two grants for %s on %q", g.Account, g.Prefix)
		}
		seen[key{g.Account, g.Prefix}] = true
	}
	return nil
}

// keyPart says whether s may be part of the name of a root, a path or a field:
// UTF-8 without control characters and without what is none in XML (XML 1.0, section
// 2.2), by which the ring travels.
func keyPart(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF
	})
}
