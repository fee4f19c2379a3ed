package appclient

import "github.com/rosterdb/rosterdb/internal/op"

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
}

// Ref returns a reference to the object.
func (o *Object) Ref() Ref { return Ref{Root: o.Root, Path: o.Path} }

// Entry is an object as List shows it: without its value.
type Entry struct {
	Path    string
	Version uint64
	Size    uint64 // bytes of the value
	Refs    []Ref
}

// Mutation is one change of a batch; Put and Delete make them.
type Mutation struct{ m op.Mutation }

// MutationOption refines a mutation; WithRefs, IfAbsent, IfPresent and IfVersion
// make them. The zero value changes nothing.
type MutationOption struct{ apply func(*op.Mutation) }

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

func newMutation(m op.Mutation, opts []MutationOption) Mutation {
	for _, o := range opts {
		if o.apply != nil {
			o.apply(&m)
		}
	}
	return Mutation{m}
}

// WithRefs stores weak references with the object.
func WithRefs(refs ...Ref) MutationOption {
	return MutationOption{func(m *op.Mutation) {
		for _, r := range refs {
			m.Refs = append(m.Refs, op.Ref(r))
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

// IfVersion applies the batch only if the object has this version.
func IfVersion(v uint64) MutationOption {
	return condition(op.Condition{Kind: op.VersionIs, Version: v})
}

func condition(c op.Condition) MutationOption {
	return MutationOption{func(m *op.Mutation) { m.Cond = c }}
}
