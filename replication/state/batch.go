package state

import (
	"bytes"
	"math"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/op"
)

// before is what a mutation finds.
type before struct {
	object
	known bool  // it was looked up
	sum   int64 // of an Add: what the counter becomes
}

// batch evaluates all conditions, then applies all mutations or none.
func (p *Partition) batch(index uint64, c *command) (result, error) {
	revision, err := p.stored.revision(c.root)
	if err != nil {
		return result{}, err
	}
	r := result{seq: c.seq, code: op.OK, revision: revision, items: make([]op.Item, len(c.muts))}
	if c.ifRoot && revision != c.ifRev {
		r.code = op.Conflict
	}
	p.befores = p.befores[:0]
	covering := p.indexes.of(c.root)
	changes := false
	for i := range c.muts {
		m := &c.muts[i]
		r.items[i].Code = op.OK
		b := before{known: m.cond != op.Always || m.kind != op.Put || p.expiring || coversAny(covering, m.path)}
		if b.known {
			if b.object, err = p.stored.object(c.root, m.path); err != nil {
				return result{}, err
			}
			p.evaluate(m, &b, &r.items[i])
			if r.items[i].Code != op.OK {
				r.code = op.Conflict
			}
		}
		p.befores = append(p.befores, b)
		changes = changes || m.kind != op.Check
	}
	if r.code == op.Conflict {
		return p.refused(c, r)
	}
	if size := p.indexedBy(c, covering); size > op.MaxIndexed {
		return result{seq: c.seq, code: op.TooLarge, revision: revision, text: textIndexed(size)}, nil
	}
	if changes {
		r.revision++
		p.put(index, c, &r)
	}
	return r, nil
}

// evaluate finds out whether the mutation can be applied to what is there.
func (p *Partition) evaluate(m *mutation, b *before, item *op.Item) {
	live := b.live(p.now())
	if live {
		item.Version = b.version
	}
	if cond := (op.Condition{Kind: m.cond, Version: m.version}); !cond.Holds(item.Version) {
		item.Code = op.Conflict
	}
	if m.kind != op.Add {
		return
	}
	n, isNumber := int64(0), true
	if live {
		n, isNumber = counter(b.value)
	}
	item.Count, b.sum = n, n+m.delta
	if overflows := (b.sum > n) != (m.delta > 0) && m.delta != 0; !isNumber || overflows {
		item.Code = op.Invalid
	}
}

// counter reads a counter's value.
func counter(value []byte) (n int64, ok bool) {
	const longest = len("-9223372036854775808")
	if len(value) > longest {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return n, true
	}
	return 0, false // not the nearest number, which it is not
}

// refused completes the items of a refused batch with the versions that are.
func (p *Partition) refused(c *command, r result) (result, error) {
	for i := range c.muts {
		if p.befores[i].known {
			continue
		}
		o, err := p.stored.object(c.root, c.muts[i].path)
		if err != nil {
			return result{}, err
		}
		if o.live(p.now()) {
			r.items[i].Version = o.version
		}
	}
	return r, nil
}

// put applies the mutations; items hold the versions so far where known.
func (p *Partition) put(index uint64, c *command, r *result) {
	change := p.active.setRevision(c.root, r.revision)
	p.keybuf = append(append(p.keybuf[:0], c.root...), 0)
	p.history.begin(c.root, r.revision)
	for i := range c.muts {
		m, b, item := &c.muts[i], &p.befores[i], &r.items[i]
		if m.kind == op.Check {
			continue
		}
		p.keybuf = append(p.keybuf[:len(c.root)+1], m.path...)
		if m.kind == op.Delete && item.Version == 0 {
			item.Code = op.NotFound
			continue
		}
		o := object{version: r.revision}
		switch m.kind {
		case op.Put:
			o.refs, o.value = m.refs, m.value
			if m.ttl > 0 {
				o.expires = min(p.pos.logTime, math.MaxInt64-m.ttl) + m.ttl
			}
		case op.Add:
			o.value = strconv.AppendInt(nil, b.sum, 10)
			o.refs = noRefs
			if item.Version != 0 {
				// They may lie in bbolt's memory.
				o.refs, o.expires = bytes.Clone(b.refs), b.expires
			}
			item.Count = b.sum
		case op.Delete:
			o = object{deleted: true}
		}
		item.Version = o.version
		kind := op.Written
		if o.deleted {
			kind = op.Deleted
		}
		p.replace(change, p.keybuf, &b.object, &o, kind)
	}
	p.endRecord(index)
}

// endRecord ends the record of a change in the history, if there is one yet.
func (p *Partition) endRecord(index uint64) {
	if p.history.begun {
		p.active.bytes += int64(p.history.end(index, &p.store.opt))
	}
}

// noRefs are the encoded references of an object without any.
var noRefs = appendRefs(nil, nil)

// replace puts an object in the place of what was there, which is only looked at
// where something keeps track of it. The record of the change is open.
func (p *Partition) replace(root *rootChange, key []byte, old, o *object, kind op.EventKind) {
	if old.expires != 0 {
		p.active.setExpiry(old.expires, key, false)
	}
	if o.expires != 0 {
		p.active.setExpiry(o.expires, key, true)
		p.expiring = true
		p.nextExpiry = min(p.nextExpiry, o.expires)
	}
	name := rootOf(key)
	var in []membership
	if kind != op.Expired || !p.store.opt.Faults.IndexKeepsExpired {
		in = p.reindex(p.indexes.of(name), key, old, o)
	}
	p.history.event(kind, key[len(name)+1:], in)
	p.active.set(root, key, *o)
}

func coversAny(list []*index, path []byte) bool {
	for _, i := range list {
		if i.covers(path) {
			return true
		}
	}
	return false
}
