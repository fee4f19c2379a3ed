package appclient

import (
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Ref is a weak reference to an object, usually of another root. Nothing keeps
// its target alive; Client.Resolve looks it up when it is wanted.
type Ref struct {
	Root string
	Path string
}

// Object is an object as it was read.
type Object struct {
	Root    string
	Path    string
	Version uint64 // the root's revision that wrote it
	Value   []byte // the caller's to keep
	Refs    []Ref
	Expires time.Time // in the store's time; zero: never
}

// Ref returns a reference to the object.
func (o *Object) Ref() Ref { return Ref{Root: o.Root, Path: o.Path} }

// Entry is an object as List shows it: without its value.
type Entry struct {
	Path    string
	Version uint64
	Size    uint64    // bytes of the value
	Expires time.Time // in the store's time; zero: never
}

// Mutation is one change of a batch, or a condition on it; Put, Delete, Add,
// Check and CheckRevision make them.
type Mutation struct {
	m    op.Mutation
	root *op.Condition // on the root's revision, instead of m
	err  error         // of its options
}

// MutationOption refines a mutation; WithRefs, WithTTL, IfAbsent, IfPresent and
// IfVersion make them. The zero value changes nothing.
//
// A mutation has one condition: two that differ make its write ErrInvalid, also
// where one of them is that of a method such as Root.Create.
type MutationOption struct{ apply func(*Mutation) }

// Put returns a mutation that creates or replaces the object at path: its
// value and its references. Path "" is the root object itself. The value must
// not be changed until the operation has returned.
func Put(path string, value []byte, opts ...MutationOption) Mutation {
	return newMutation(op.Mutation{Kind: op.Put, Path: path, Value: value}, opts)
}

// Delete returns a mutation that removes the object at path. There being none
// is no failure, unless a condition says so.
func Delete(path string, opts ...MutationOption) Mutation {
	return newMutation(op.Mutation{Kind: op.Delete, Path: path}, opts)
}

// Add returns a mutation that adds delta, which may be negative, to the counter at
// path: an object whose value is a decimal number. An absent one counts as 0.
// Its references and expiry stay. See also Root.Increment.
func Add(path string, delta int64, opts ...MutationOption) Mutation {
	return newMutation(op.Mutation{Kind: op.Add, Path: path, Delta: delta}, opts)
}

// Check returns a mutation that changes nothing, but has a condition on the
// object at path (IfAbsent, IfPresent or IfVersion) that decides about the batch.
func Check(path string, condition MutationOption) Mutation {
	return newMutation(op.Mutation{Kind: op.Check, Path: path}, []MutationOption{condition})
}

// CheckRevision returns a member of a batch that changes nothing, but lets it be
// applied only if the root still has the revision; 0 is that of a root to which
// nothing was ever written. Two that differ are ErrInvalid.
func CheckRevision(revision uint64) Mutation {
	return Mutation{root: &op.Condition{Kind: op.VersionIs, Version: revision}}
}

func newMutation(m op.Mutation, opts []MutationOption) Mutation {
	out := Mutation{m: m}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(&out)
		}
	}
	return out
}

// fail keeps the first error of a mutation.
func (m *Mutation) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
}

// restrict adds a condition.
func (m *Mutation) restrict(c op.Condition) {
	if m.m.Cond.Kind != op.Always && m.m.Cond != c {
		m.fail("%q has two conditions, %s and %s: give one, or check with Root.Update", m.m.Path, describeCondition(m.m.Cond), describeCondition(c))
	}
	m.m.Cond = c
}

func describeCondition(c op.Condition) string {
	switch c.Kind {
	case op.Absent:
		return "to be absent"
	case op.Present:
		return "to be present"
	}
	return fmt.Sprintf("to have version %d", c.Version)
}

// WithTTL lets an object of a Put expire after d, counted in whole milliseconds (rounded
// up) of the store's time, at most 100 years; 0 and less are ErrInvalid. Each Put says it
// anew: without it the object stays for ever. An expired object is absent at once, for
// reads and conditions; its removal is a revision of its root and an Expired event.
func WithTTL(d time.Duration) MutationOption {
	return MutationOption{func(m *Mutation) {
		if d <= 0 || d > op.MaxTTL*time.Millisecond {
			m.fail("time to live %v of %q: at least 1 ms, at most 100 years; leave WithTTL out for ever", d, m.m.Path)
			return
		}
		m.m.TTL = int64((d + time.Millisecond - 1) / time.Millisecond)
	}}
}

// WithRefs stores weak references with the object.
func WithRefs(refs ...Ref) MutationOption {
	return MutationOption{func(m *Mutation) {
		for _, r := range refs {
			m.m.Refs = append(m.m.Refs, op.Ref(r))
		}
	}}
}

// IfAbsent applies the batch only if there is no object at the path.
func IfAbsent() MutationOption {
	return condition(op.Condition{Kind: op.Absent})
}

// IfPresent applies the batch only if there is an object at the path.
func IfPresent() MutationOption {
	return condition(op.Condition{Kind: op.Present})
}

// IfVersion applies the batch only if the object has this version; 0 is that of
// an object that does not exist.
func IfVersion(v uint64) MutationOption { return condition(was(v)) }

func condition(c op.Condition) MutationOption {
	return MutationOption{func(m *Mutation) { m.restrict(c) }}
}
