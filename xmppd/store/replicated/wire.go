package replicated

import (
	"encoding/binary"
	"errors"

	"github.com/rosterdb/rosterdb/internal/op"
)

// wireVersion is the first byte of every request and answer between servers. One of
// another version is refused with op.Invalid, so that its sender knows.
const wireVersion = 1

// errWire: what came from another server makes no sense.
var errWire = errors.New("malformed message of another server")

// The requests.
const (
	askRing     = iota + 1 // the ring document, if it is newer than epoch
	askOpen                // a session; group, text is its owner
	askWrite               // group, write
	askView                // a snapshot of root as of now; group, root
	askGet                 // an object of the snapshot; handle, from
	askScan                // objects of the snapshot; handle, from, to, down
	askClose               // the snapshot is not needed any more; no answer
	askOwners              // a page of owners with objects in a collection; group, root (behind it), text
	askPropose             // a server asks to be looked at: the members may have changed; no answer
	askLeave               // a server is to leave; text is its name. Answered OK once the ring says so, Conflict if it must not
	askMayLeave            // may a server leave? text is its name. Answered OK or Conflict
)

// request is what servers ask one another. The kind says which fields count.
type request struct {
	kind   byte
	epoch  uint64
	group  uint32
	handle uint64
	root   string
	from   string
	to     string
	text   string
	down   bool
	write  *op.Write
}

// answer is what comes back. Code is as of package op.
type answer struct {
	code     op.Code
	leader   uint64 // member, with op.Redirect; 0: not known
	epoch    uint64 // of the newest ring document that the server knows
	text     string // for people
	revision uint64
	session  op.Session
	handle   uint64 // of the snapshot; 0: objects are all of it
	more     bool
	objects  []object
	doc      []byte
}

// object is one of a root; of askOwners path is the root and value the owner.
type object struct {
	path  string
	value []byte
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFlag(b []byte, f bool) []byte {
	if f {
		return append(b, 1)
	}
	return append(b, 0)
}

func (r *request) append(b []byte) []byte {
	b = append(b, wireVersion, r.kind)
	b = binary.AppendUvarint(b, r.epoch)
	b = binary.AppendUvarint(b, uint64(r.group))
	b = binary.AppendUvarint(b, r.handle)
	for _, s := range [...]string{r.root, r.from, r.to, r.text} {
		b = appendString(b, s)
	}
	b = appendFlag(b, r.down)
	if r.kind == askWrite {
		b = appendWrite(b, r.write)
	}
	return b
}

// appendWrite appends what this package makes of a write: puts, deletes and checks, with
// conditions on the revision of the root and on versions.
func appendWrite(b []byte, w *op.Write) []byte {
	b = binary.AppendUvarint(b, uint64(w.Session))
	b = binary.AppendUvarint(b, w.Seq)
	b = binary.AppendUvarint(b, w.Floor)
	b = appendString(b, w.Root)
	b = appendCondition(b, w.RootCond)
	b = binary.AppendUvarint(b, uint64(len(w.Mutations)))
	for i := range w.Mutations {
		m := &w.Mutations[i]
		b = appendMutation(b, m)
	}
	return b
}

func appendMutation(b []byte, m *op.Mutation) []byte {
	b = appendCondition(append(b, byte(m.Kind)), m.Cond)
	return appendString(appendString(b, m.Path), m.Value)
}

func appendCondition(b []byte, c op.Condition) []byte {
	return binary.AppendUvarint(append(b, byte(c.Kind)), c.Version)
}

func (a *answer) append(b []byte) []byte {
	b = append(b, wireVersion, byte(a.code))
	for _, n := range [...]uint64{a.leader, a.epoch, a.revision, uint64(a.session), a.handle} {
		b = binary.AppendUvarint(b, n)
	}
	b = appendString(b, a.text)
	b = appendFlag(b, a.more)
	b = binary.AppendUvarint(b, uint64(len(a.objects)))
	for _, o := range a.objects {
		b = appendString(appendString(b, o.path), o.value)
	}
	return appendString(b, a.doc)
}

// decoder reads what append has written. Slices are parts of what it reads.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	s := d.b[:n:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) string() string { return string(d.bytes()) }

// count is a number of things that take at least so many bytes each.
func (d *decoder) count(least int) int {
	n := d.number()
	if n > uint64(len(d.b)/least) {
		d.b, d.bad = nil, true
		return 0
	}
	return int(n)
}

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errWire
	}
	return nil
}

// errVersion: the other server speaks another version.
var errVersion = errors.New("the other server speaks another version of the protocol between servers")

func (r *request) parse(b []byte) error {
	d := decoder{b: b}
	if d.byte() != wireVersion {
		return errVersion
	}
	r.kind, r.epoch, r.group, r.handle = d.byte(), d.number(), uint32(d.number()), d.number()
	r.root, r.from, r.to, r.text = d.string(), d.string(), d.string(), d.string()
	r.down = d.byte() != 0
	if r.kind == askWrite {
		r.write = d.write()
	}
	return d.end()
}

func (d *decoder) write() *op.Write {
	w := &op.Write{Session: op.Session(d.number()), Seq: d.number(), Floor: d.number(), Root: d.string(), RootCond: d.condition()}
	w.Mutations = make([]op.Mutation, d.count(5))
	for i := range w.Mutations {
		w.Mutations[i] = d.mutation()
	}
	return w
}

func (d *decoder) mutation() op.Mutation {
	return op.Mutation{Kind: op.MutKind(d.byte()), Cond: d.condition(), Path: d.string(), Value: d.bytes()}
}

func (d *decoder) condition() op.Condition {
	return op.Condition{Kind: op.CondKind(d.byte()), Version: d.number()}
}

func (a *answer) parse(b []byte) error {
	d := decoder{b: b}
	if d.byte() != wireVersion {
		return errVersion
	}
	a.code = op.Code(d.byte())
	a.leader, a.epoch, a.revision, a.session, a.handle = d.number(), d.number(), d.number(), op.Session(d.number()), d.number()
	a.text = d.string()
	a.more = d.byte() != 0
	a.objects = make([]object, d.count(2))
	for i := range a.objects {
		a.objects[i] = object{d.string(), d.bytes()}
	}
	a.doc = d.bytes()
	return d.end()
}
