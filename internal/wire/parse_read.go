package wire

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/rosterdb/rosterdb/internal/op"
)

// question reads the element of a read that just started, with its children.
func (r *reader) question(rd *Read) {
	a := &r.a
	q := &rd.Read
	q.Stale, q.MaxAge = a.has(nStale), a.signed(nStale)
	switch string(r.p.Name()) {
	case "get":
		q.Kind, q.Root, q.Path = op.Get, a.str(tRoot), a.str(tPath)
		q.Offset, q.Version, rd.With = a.num(nOffset), a.num(nVersion), a.num(nWith)
		bad := a.bad // leaf reads others to the same place
		rd.Bad = cmp.Or(bad, r.leaf("get"))
		return
	case "list":
		q.Kind, q.Root, q.Prefix, q.After, q.FromStart = op.List, a.str(tRoot), a.str(tPrefix), a.str(tAfter), !a.set(tAfter)
	case "scan":
		q.Kind, q.Prefix, q.RootsOnly = op.Scan, a.str(tPrefix), a.flag(tRoots, "roots")
		q.AfterRoot, q.After, q.FromStart = a.str(tAfterRoot), a.str(tAfter), !a.set(tAfterRoot)
		if q.FromStart && a.set(tAfter) {
			a.fail("scan with after and without after-root; name the object's root, too")
		}
	case "query":
		q.Kind, q.Index, q.Desc, q.Cursor = op.Query, a.str(tIndex), a.flag(tDesc, "desc"), a.cursor()
	case "changes":
		r.changes(q)
	}
	q.Limit = int(min(a.num(nLimit), op.MaxListPage))
	q.Values = a.flag(tValues, "values")
	rd.Bad = a.bad
	if err := r.bounds(q); err != nil && rd.Bad == "" {
		rd.Bad = err.Error()
	}
}

func (r *reader) changes(q *op.Read) {
	a := &r.a
	*q = op.Read{
		Kind: op.Changes, Stale: q.Stale, MaxAge: q.MaxAge, Root: a.str(tRoot), Prefix: a.str(tPrefix), Index: a.str(tIndex),
		ByRevision: a.has(nRevision), SinceRevision: a.num(nRevision), Since: a.num(nSince), Wait: a.signed(nWait),
		Skip: int(min(a.num(nSkip), math.MaxInt32)),
	}
	if a.has(nSince) == a.has(nRevision) {
		a.fail("changes begin behind either since or revision; give one of them")
	}
}

// bounds reads <from/> and <to/> of a query.
func (r *reader) bounds(q *op.Read) (err error) {
	for depth := r.p.Depth(); r.child(depth); {
		name := string(r.p.Name())
		s, wrong := r.a.scalar(), r.a.bad
		inside := r.leaf(name)
		switch {
		case err != nil:
		case q.Kind != op.Query || name != "from" && name != "to":
			err = fmt.Errorf("unknown element <%.40s/> in a read", name)
		case wrong != "":
			err = fmt.Errorf("bound %s: %s", name, wrong)
		case inside != "":
			err = errors.New(inside)
		case name == "from" && q.From == nil:
			q.From = &s
		case name == "to" && q.To == nil:
			q.To = &s
		default:
			err = fmt.Errorf("query with two bounds <%s/>", name)
		}
	}
	return err
}
