package op

import (
	"fmt"
	"math"
)

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
	if k := w.RootCond.Kind; k != Always && k != VersionIs {
		return false, fmt.Errorf("batch on root %q: condition %d cannot be one on the root; name its revision", w.Root, k)
	}
	total := len(w.Root)
	seen := make(map[string]struct{}, len(w.Mutations))
	for i := range w.Mutations {
		m := &w.Mutations[i]
		if err := m.check(); err != nil {
			return false, fmt.Errorf("mutation %d of root %q: %w", i, w.Root, err)
		}
		if err := CheckPath(m.Path); err != nil {
			return len(m.Path) > MaxPath, err
		}
		if _, dup := seen[m.Path]; dup {
			return false, fmt.Errorf("batch on root %q names path %q twice; merge the two", w.Root, m.Path)
		}
		seen[m.Path] = struct{}{}
		size, tooLarge, err := m.size(w.Root)
		if err != nil {
			return tooLarge, err
		}
		total += size
	}
	if total > MaxBatch {
		return true, fmt.Errorf("batch on root %q has %d bytes; the limit is %d: split it", w.Root, total, MaxBatch)
	}
	return false, nil
}

// check looks at what needs no other mutation and no key.
func (m *Mutation) check() error {
	switch {
	case m.Kind < Put || m.Kind > Check:
		return fmt.Errorf("unknown kind %d", m.Kind)
	case m.Cond.Kind > VersionIs:
		return fmt.Errorf("unknown condition %d", m.Cond.Kind)
	case m.TTL < 0 || m.TTL > MaxTTL:
		return fmt.Errorf("a life of %d ms; 1 to %d are possible, 0 is for ever", m.TTL, int64(MaxTTL))
	case m.TTL != 0 && m.Kind != Put:
		return fmt.Errorf("only a put sets how long an object lives")
	case m.Delta != 0 && m.Kind != Add:
		return fmt.Errorf("only an add has a delta")
	case m.Kind == Check && m.Cond.Kind == Always:
		return fmt.Errorf("a check without a condition; add one")
	case (m.Kind == Add || m.Kind == Check) && (len(m.Value) > 0 || len(m.Refs) > 0):
		return fmt.Errorf("only a put has a value and references")
	}
	return nil
}

// size is how many bytes the mutation counts for in its batch.
func (m *Mutation) size(root string) (n int, tooLarge bool, err error) {
	if len(m.Value) > MaxValue {
		return 0, true, fmt.Errorf("value of %q in root %q has %d bytes; the limit is %d: store it in parts", m.Path, root, len(m.Value), MaxValue)
	}
	if len(m.Refs) > MaxRefs {
		return 0, true, fmt.Errorf("object %q of root %q has %d references; the limit is %d", m.Path, root, len(m.Refs), MaxRefs)
	}
	n = len(m.Path) + len(m.Value)
	for _, r := range m.Refs {
		if err := CheckRoot(r.Root); err != nil {
			return 0, len(r.Root) > MaxRoot, fmt.Errorf("reference of %q: %w", m.Path, err)
		}
		if err := CheckPath(r.Path); err != nil {
			return 0, len(r.Path) > MaxPath, fmt.Errorf("reference of %q: %w", m.Path, err)
		}
		n += len(r.Root) + len(r.Path)
	}
	return n, false, nil
}

// Check says what is wrong with a question after a write.
func (s *Settle) Check() error {
	if s.Session == 0 || s.Seq == 0 || s.Seq > MaxSeq {
		return fmt.Errorf("a settle names the session and the sequence number of a write, both from 1, the latter at most %d", uint64(MaxSeq))
	}
	return nil
}

// Check says what is wrong with a read, and bounds Limit.
func (r *Read) Check() error {
	var err error
	switch r.Kind {
	case Get, List:
		err = first(CheckRoot(r.Root), CheckPath(r.Path), CheckPath(r.Prefix), CheckPath(r.After))
	case Scan:
		err = first(checkKey("prefix", r.Prefix, MaxRoot), checkKey("root name", r.AfterRoot, MaxRoot), CheckPath(r.After))
		if err == nil && !r.FromStart && r.AfterRoot == "" {
			err = fmt.Errorf("a scan that goes on behind an object names its root")
		}
	case Query:
		err = first(CheckIndex(r.Index), r.From.Check(), r.To.Check())
		if err == nil && len(r.Cursor) > MaxCursor {
			err = fmt.Errorf("cursor has %d bytes; give the one of the last object as it is", len(r.Cursor))
		}
	case Changes:
		err = r.checkChanges()
	default:
		err = fmt.Errorf("unknown kind of read %d", r.Kind)
	}
	if err == nil && (r.MaxAge < 0 || r.MaxAge > MaxAge) {
		err = fmt.Errorf("an age of %d ms; 0 to %d are possible", r.MaxAge, MaxAge)
	}
	if r.Limit < 0 || r.Limit > MaxListPage {
		r.Limit = MaxListPage
	}
	return err
}

func (r *Read) checkChanges() error {
	if r.Wait < 0 || r.Wait > MaxWait {
		return fmt.Errorf("a wait of %d ms; 0 to %d are possible", r.Wait, MaxWait)
	}
	switch {
	case r.Skip < 0:
		return fmt.Errorf("%d events to leave out; count from 0", r.Skip)
	case r.ByRevision && (r.Root == "" || r.Since != 0):
		return fmt.Errorf("a revision to begin behind is that of one root, and there is no position then")
	case r.Index != "" && (r.Root != "" || r.Prefix != ""):
		return fmt.Errorf("changes are of an index or of roots, not of both")
	case r.Index != "":
		return CheckIndex(r.Index)
	case r.Root != "":
		return first(CheckRoot(r.Root), CheckPath(r.Prefix))
	}
	return checkKey("prefix", r.Prefix, MaxRoot)
}

// CheckIndex says what is wrong with an index's name.
func CheckIndex(name string) error {
	if name == "" {
		return fmt.Errorf("name of an index is empty; give it")
	}
	return checkKey("name of an index", name, MaxIndex)
}

// Check says what is wrong with a bound of a query; nil is none. Strings that an
// index cannot hold are refused: see [Scalar.Indexable].
func (s *Scalar) Check() error {
	switch {
	case s == nil:
		return nil
	case s.Kind < Null || s.Kind > String:
		return fmt.Errorf("unknown kind %d of a bound", s.Kind)
	case s.Kind == Number && (math.IsNaN(s.Number) || math.IsInf(s.Number, 0)):
		return fmt.Errorf("bound %v is no number of JSON", s.Number)
	case s.Kind == String:
		return checkKey("bound", s.String, MaxScalar)
	}
	return nil
}

// Indexable tells whether an index holds the value: strings up to MaxScalar bytes
// without control characters, and everything else that is a scalar.
func (s *Scalar) Indexable() bool { return s.Check() == nil }

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
