package replicated

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// ownersPage is how many roots a page of owners looks at (count).
const ownersPage = 256

// Owners implements store.Store. It goes through all groups at once.
func (s *Store) Owners(ctx context.Context, collection, after string, f func(owner string) bool) error {
	if err := store.CheckCollection(collection); err != nil {
		return err
	}
	if err := s.enter(ctx, after); err != nil {
		return err
	}
	defer s.wg.Done()
	t := s.newTry(ctx)
	if _, err := s.groupOf(t, domainRoot); err != nil {
		return err
	}
	lists := make([]ownerList, s.ring.Load().Partitions)
	for i := range lists {
		lists[i] = ownerList{group: uint32(i), collection: collection, behind: before(after), after: after}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.refill(ctx, lists); err != nil {
			return err
		}
		first := -1
		for i := range lists {
			if len(lists[i].names) > 0 && (first < 0 || lists[i].names[0] < lists[first].names[0]) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		name := lists[first].names[0]
		lists[first].names = lists[first].names[1:]
		if !f(name) {
			return nil
		}
	}
}

// before is a root behind which all owners behind one are.
func before(owner string) string {
	if owner == "" {
		return "@"
	}
	root := rootOf(owner)
	if text, _, long := strings.Cut(root, hashed); long {
		return text // the owners that begin like it have no order here
	}
	return root
}

// ownerList is what is known of the owners in one group.
type ownerList struct {
	group      uint32
	collection string
	behind     string // the root behind which to go on
	after      string // owners wanted are behind this one
	names      []string
	ended      bool
}

// refill gets the next page of each group that has nothing left.
func (s *Store) refill(ctx context.Context, lists []ownerList) error {
	var wg sync.WaitGroup
	errs := make([]error, len(lists))
	for i := range lists {
		if l := &lists[i]; len(l.names) == 0 && !l.ended {
			wg.Go(func() { errs[i] = s.nextOwners(s.newTry(ctx), l) })
		}
	}
	wg.Wait()
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i] // one tells as much as those of all groups
}

func (s *Store) nextOwners(t *try, l *ownerList) error {
	for len(l.names) == 0 && !l.ended {
		// A new one each time: who was late may be reading the last one.
		a, done, err := t.next(l.group, &request{kind: askOwners, group: l.group, root: l.behind, text: l.collection}, true)
		t.unknown = false // a question changes nothing
		if err != nil {
			if err := t.ended(); err != nil {
				return err
			}
		}
		if !done {
			continue
		}
		if a.code != op.OK {
			return errors.New(a.text)
		}
		for _, o := range a.objects {
			if l.behind = o.path; len(o.value) > 0 && string(o.value) > l.after {
				l.names = append(l.names, string(o.value))
			}
		}
		l.ended = !a.more
	}
	// Owners that are too long for their roots are not in order.
	slices.Sort(l.names)
	return nil
}

// ownersHere is a page of the owners behind a root that have objects in a collection. Each object
// is a root and its owner, or none where there are none of the collection; owners that begin alike
// and are too long are on one page.
func (s *Store) ownersHere(r *request) answer {
	a := answer{code: op.OK}
	for from := r.root; ; {
		res, err := s.node.ReadApplied(r.group, &op.Read{Kind: op.Scan, Prefix: "@", AfterRoot: from, RootsOnly: true, Limit: ownersPage})
		if err != nil || res.Code != op.OK {
			return answer{code: op.Unavailable, text: res.Text}
		}
		for _, o := range res.Objects {
			if len(a.objects) >= ownersPage && !alike(a.objects[len(a.objects)-1].path, o.Root) {
				a.more = true
				return a
			}
			owner, err := s.ownerHere(r.group, o.Root, r.text)
			if err != nil {
				return unreadable(err)
			}
			from = o.Root
			a.objects = append(a.objects, object{o.Root, []byte(owner)})
		}
		if !res.More || len(res.Objects) == 0 {
			return a
		}
	}
}

// alike tells whether two roots have the same beginnings of owners that are too long.
func alike(a, b string) bool {
	x, _, long := strings.Cut(a, hashed)
	y, _, _ := strings.Cut(b, hashed)
	return long && x == y
}

// ownerHere is the owner of a root, "" if it has no record in a collection.
func (s *Store) ownerHere(group uint32, root, collection string) (string, error) {
	v, err := s.node.ViewRoot(group, root)
	if err != nil {
		return "", err
	}
	defer v.Close()
	from, to := bounds(collection, store.Range{})
	some := false
	if err := v.Scan(from, to, false, func(op.Object) bool { some = true; return false }); err != nil || !some {
		return "", err
	}
	if isShortened(root) {
		o, _, err := v.Get(pathName)
		return string(o.Value), err
	}
	name, err := parseText(strings.TrimPrefix(root, "@"))
	return string(name), err
}
