package op

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits of the store, in bytes unless said otherwise.
const (
	MaxRoot      = 512
	MaxPath      = 1024
	MaxValue     = 1 << 20
	MaxRefs      = 4096    // references an object (count)
	MaxMutations = 1024    // mutations a batch (count)
	MaxBatch     = 4 << 20 // keys, values and references of a batch together
	MaxListPage  = 1000    // objects a page (count)
	// MaxWindow is how far a sequence may lie above its session's floor (count).
	MaxWindow = 1024
	MaxTTL    = 100 * 365 * 24 * 3600 * 1000 // of an object, milliseconds
	MaxWait   = 60_000                       // of a Changes read, milliseconds
)

// CheckRoot says what is wrong with a root's name: it is 1..MaxRoot bytes of
// UTF-8 without control characters.
func CheckRoot(s string) error {
	if s == "" {
		return fmt.Errorf("root name is empty; name the root object")
	}
	return checkKey("root name", s, MaxRoot)
}

// CheckPath says what is wrong with a path inside a root: 0..MaxPath bytes of
// UTF-8 without control characters. The empty path is the root object itself.
func CheckPath(s string) error { return checkKey("path", s, MaxPath) }

func checkKey(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s has %d bytes; the limit is %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s %q is not valid UTF-8", what, s)
	}
	for _, r := range s {
		// U+FFFE and U+FFFF are no XML characters (XML 1.0, section 2.2).
		if unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF {
			return fmt.Errorf("%s %q has the control character U+%04X; remove or encode it", what, s, r)
		}
	}
	return nil
}

// Check says what is wrong with a write before it is sent or proposed.
func (w *Write) Check() (tooLarge bool, err error) {
	if err := CheckRoot(w.Root); err != nil {
		return false, err
	}
	if len(w.Mutations) == 0 {
		return false, fmt.Errorf("batch on root %q is empty; add a put or a delete", w.Root)
	}
	if len(w.Mutations) > MaxMutations {
		return true, fmt.Errorf("batch on root %q has %d mutations; the limit is %d: split it", w.Root, len(w.Mutations), MaxMutations)
	}
	total := len(w.Root)
	seen := make(map[string]struct{}, len(w.Mutations))
	for i := range w.Mutations {
		m := &w.Mutations[i]
		if m.Kind != Put && m.Kind != Delete {
			return false, fmt.Errorf("mutation %d of root %q: unknown kind %d", i, w.Root, m.Kind)
		}
		if m.Cond.Kind > VersionIs {
			return false, fmt.Errorf("mutation %d of root %q: unknown condition %d", i, w.Root, m.Cond.Kind)
		}
		if err := CheckPath(m.Path); err != nil {
			return len(m.Path) > MaxPath, err
		}
		if _, dup := seen[m.Path]; dup {
			return false, fmt.Errorf("batch on root %q names path %q twice; merge the two", w.Root, m.Path)
		}
		seen[m.Path] = struct{}{}
		if len(m.Value) > MaxValue {
			return true, fmt.Errorf("value of %q in root %q has %d bytes; the limit is %d: store it in parts", m.Path, w.Root, len(m.Value), MaxValue)
		}
		if len(m.Refs) > MaxRefs {
			return true, fmt.Errorf("object %q of root %q has %d references; the limit is %d", m.Path, w.Root, len(m.Refs), MaxRefs)
		}
		total += len(m.Path) + len(m.Value)
		for _, r := range m.Refs {
			if err := CheckRoot(r.Root); err != nil {
				return len(r.Root) > MaxRoot, fmt.Errorf("reference of %q: %w", m.Path, err)
			}
			if err := CheckPath(r.Path); err != nil {
				return len(r.Path) > MaxPath, fmt.Errorf("reference of %q: %w", m.Path, err)
			}
			total += len(r.Root) + len(r.Path)
		}
	}
	if total > MaxBatch {
		return true, fmt.Errorf("batch on root %q has %d bytes; the limit is %d: split it", w.Root, total, MaxBatch)
	}
	return false, nil
}
