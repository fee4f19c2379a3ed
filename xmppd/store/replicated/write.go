package replicated

import (
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// errConflict: the root is not as the write said. Nothing was changed.
var errConflict = errors.New("the owner's records have changed meanwhile")

// write executes mutations of a root, if its revision, or a condition of theirs, still is as they
// say, exactly once. It returns the new revision. Errors: errConflict, and those of try.ended.
func (s *Store) write(t *try, root string, cond op.Condition, muts []op.Mutation) (uint64, error) {
	group, err := s.groupOf(t, root)
	if err != nil {
		return 0, err
	}
	w := &op.Write{Root: root, RootCond: cond, Mutations: muts}
	if s.opt.faults.unconditional {
		w.RootCond = op.Condition{}
	}
	for {
		again, revision, err := s.writeOnce(t, group, w)
		if !again {
			return revision, err
		}
	}
}

// writeOnce executes a write under one name. again: it surely had no effect, and needs another.
func (s *Store) writeOnce(t *try, group uint32, w *op.Write) (again bool, revision uint64, err error) {
	x := s.session(group)
	if err := x.name(t, group, w); err != nil {
		return false, 0, err
	}
	named := *w
	defer func() { x.answered(&named) }()
	for {
		w.Floor = x.floor(w.Session, w.Seq)
		a, done, err := t.next(group, &request{kind: askWrite, group: group, write: w}, false)
		if err != nil {
			return false, 0, err
		}
		if !done {
			if s.opt.faults.newSequence && t.unknown {
				return true, 0, nil
			}
			continue
		}
		switch a.code {
		case op.OK:
			t.unknown = false
			return false, a.revision, nil
		case op.Conflict:
			t.unknown = false
			return false, 0, errConflict
		case op.SessionExpired:
			x.expired(w.Session)
			if t.unknown {
				return false, 0, fmt.Errorf("%w: the session ended meanwhile", store.ErrUncertain)
			}
			return true, 0, nil
		case op.Invalid, op.TooLarge:
			if !t.unknown {
				return false, 0, fmt.Errorf("%w: %s", store.ErrInvalid, a.text)
			}
		}
		return false, 0, fmt.Errorf("%w: %s", store.ErrUncertain, a.text)
	}
}

// groupOf is the group that has a root.
func (s *Store) groupOf(t *try, root string) (uint32, error) {
	for {
		if doc := s.ring.Load(); doc != nil {
			group := doc.Partition(root)
			t.of(group)
			return group, nil
		}
		t.last = "this server does not know the cluster's ring yet"
		if err := t.pause(); err != nil {
			return 0, err
		}
	}
}
