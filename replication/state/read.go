package state

import (
	"bytes"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Read answers from everything applied so far, without waiting: a Get with at most
// Options.MaxReadBytes of the value from Offset on, the others with at most Limit
// objects or events and about that many bytes of keys, references and values. A damaged record
// is answered Unavailable, so that the client asks another replica later, and
// noticed: see Damaged. What
// the result holds may be shared and must not be changed.
func (p *Partition) Read(r *op.Read) (res op.ReadResult) {
	if err := p.Damaged(); err != nil && !p.store.opt.Faults.DamagedAnswers {
		return op.ReadResult{Code: op.Unavailable, Text: "this replica is damaged and being repaired: " + err.Error()}
	}
	err := p.store.guard(func() (err error) {
		res, err = p.answerTo(r)
		return err
	})
	if err != nil {
		p.noticed(err)
		return op.ReadResult{Code: op.Unavailable, Text: err.Error()}
	}
	return res
}

func (p *Partition) answerTo(r *op.Read) (res op.ReadResult, err error) {
	switch r.Kind {
	case op.Get:
		res, err = p.get(r)
	case op.List:
		res, err = p.list(r)
	case op.Scan:
		res, err = p.scan(r)
	case op.Query:
		res, err = p.query(r)
	case op.Changes:
		res, err = p.changesRead(r)
	default:
		return op.ReadResult{Code: op.Invalid, Text: fmt.Sprintf("unknown kind of read %d", r.Kind)}, nil
	}
	return res, err
}

func (p *Partition) get(r *op.Read) (op.ReadResult, error) {
	var buf [256]byte
	key := appendKey(buf[:0], r.Root, r.Path)
	root := key[:len(r.Root)]
	p.mu.RLock()
	o, ok := p.overlaid(key)
	res := op.ReadResult{Position: p.pos.index, Expiring: p.expiringNow()}
	now := p.now()
	var known bool
	res.Revision, known = p.overlaidRevision(root)
	p.mu.RUnlock()
	if ok && known {
		p.answer(&res, r, &o, now, false)
		return res, nil
	}
	l := &lookup{p: p}
	if p.reading.TryLock() {
		defer p.reading.Unlock()
		l = &p.read
		defer l.done()
	} else {
		defer l.close()
	}
	p.mu.RLock()
	o, ok = p.overlaid(key)
	res.Position, res.Expiring, now = p.pos.index, p.expiringNow(), p.now()
	res.Revision, known = p.overlaidRevision(root)
	err := p.store.guard(l.begin)
	p.mu.RUnlock()
	if err == nil && !known {
		res.Revision, err = storedRevision(l.roots, root)
	}
	copied := false
	if err == nil && !ok {
		o, ok, err = storedObject(l.objects, key)
		copied = ok
	}
	if err != nil {
		return op.ReadResult{}, err
	}
	p.answer(&res, r, &o, now, copied)
	return res, nil
}

// overlaid finds a changed or deleted object. The lock is held.
func (p *Partition) overlaid(key []byte) (object, bool) {
	if o, ok := p.active.object(key); ok {
		return o, true
	}
	return p.flushing.object(key)
}

func (p *Partition) overlaidRevision(root []byte) (uint64, bool) {
	if r, ok := p.active.revision(root); ok {
		return r, true
	}
	return p.flushing.revision(root)
}

// answer completes the result of a Get; copied says that the value must be,
// because it lies in bbolt's memory.
func (p *Partition) answer(res *op.ReadResult, r *op.Read, o *object, now int64, copied bool) {
	switch {
	case !o.live(now) && r.Version != 0:
		res.Code, res.Text = op.Conflict, "the object was deleted meanwhile; read it from the beginning"
		return
	case !o.live(now):
		res.Code = op.NotFound
		return
	case r.Version != 0 && r.Version != o.version:
		res.Code, res.Text = op.Conflict, "the object has changed meanwhile; read it from the beginning"
		return
	}
	value := o.value[min(r.Offset, uint64(len(o.value))):]
	value = value[:min(len(value), p.store.opt.MaxReadBytes)]
	if copied {
		value = bytes.Clone(value)
	}
	res.Code = op.OK
	res.Objects = []op.Object{{
		Path:    r.Path,
		Version: o.version,
		Size:    uint64(len(o.value)),
		Expires: o.expires,
		Value:   value,
	}}
	if r.Offset == 0 { // who asks for the rest of a value has them
		res.Objects[0].Refs = decodeRefs(o.refs)
	}
}
