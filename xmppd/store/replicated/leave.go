package replicated

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// leftRoot has a record, under its UUID, of the data of each server that has left. Such data holds
// votes of a member that is none any more, so it must never come back, however late its server does.
const leftRoot = "left"

// Leave has a server give up its part of the data, whether it is there or not: others take it over
// from those that have it. It returns when the servers have agreed; Moved says when it is done. To ask
// again does no harm. Errors, with which nothing was changed: ErrNoMember, ErrLast, ErrNeeded, ErrUnavailable, those of ctx.
func (s *Store) Leave(ctx context.Context, name string) error {
	if !s.begin() {
		return errClosing
	}
	defer s.wg.Done()
	doc := s.ring.Load()
	if doc == nil {
		return fmt.Errorf("%w: this server does not know yet who has the data", ErrUnavailable)
	}
	m, ok := doc.ByJID(jidOf(name))
	switch {
	case !ok:
		return fmt.Errorf("%w: %q", ErrNoMember, name)
	case m.State == ring.Leaving:
		return nil
	case !slices.ContainsFunc(doc.Members, func(o ring.Member) bool { return o.ID != m.ID && o.State != ring.Leaving }):
		return fmt.Errorf("%w: %q", ErrLast, name)
	}
	if err := s.awaitLeave(ctx, name); err != nil {
		return err
	}
	t := s.newTry(ctx)
	if _, err := s.write(t, leftRoot, op.Condition{}, []op.Mutation{{Kind: op.Put, Path: m.Store}}); err != nil {
		return err
	}
	return s.askAbout(t, askLeave, name)
}

// leavePatience is how long a server that must not leave now is asked about again: what is missing may be about to come
// back, or may have come and not be known of yet.
const leavePatience = 5 * time.Second

// awaitLeave waits a moment until a server may leave: ErrNeeded, ErrUnavailable, those of ctx.
func (s *Store) awaitLeave(ctx context.Context, name string) error {
	t := s.newTry(ctx)
	deadline := time.Now().Add(min(leavePatience, s.opt.Patience))
	for {
		var err error
		if away := s.undecided(s.ring.Load()); len(away) > 0 {
			err = fmt.Errorf("%w: no majority of those that decide who belongs to the cluster, or keep who has left, is there: start %s first; nothing was changed", ErrUnavailable, strings.Join(away, ", "))
		} else if err = s.askAbout(t, askMayLeave, name); err == nil || !errors.Is(err, ErrNeeded) {
			return err
		}
		if time.Now().After(deadline) || t.pause() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

// undecided are the servers without which nobody can decide who belongs to the cluster, or record it; none if that can be done.
func (s *Store) undecided(doc *ring.Document) (away []string) {
	for _, group := range [][]uint64{doc.Meta, doc.Group(doc.Partition(leftRoot))} {
		if there, majority := present(doc, group, s.isThere(doc)); len(there) < majority {
			return absentOf(doc, group, s.isThere(doc))
		}
	}
	return nil
}

// askAbout asks who decides about a server that is to leave.
func (s *Store) askAbout(t *try, kind byte, name string) error {
	for {
		t.unknown = false // it may be asked again
		a, done, err := t.next(ring.MetaPartition, &request{kind: kind, text: name}, true)
		t.unknown = false
		switch {
		case err != nil:
			return err
		case done && (a.code == op.OK || a.code == op.NotFound): // not found: somebody else has asked for it, and it is done
			return nil
		case done && a.code == op.Conflict:
			return fmt.Errorf("%w: %q: %s", ErrNeeded, name, a.text)
		case done:
			return fmt.Errorf("%w: %s", ErrUnavailable, a.text)
		}
		if err := t.ended(); err != nil {
			return err
		}
	}
}

// leaveHere has a server leave, if this one leads those that decide; only asking, it tells whether it may.
func (s *Store) leaveHere(ctx context.Context, name string, only bool) answer {
	leader, ok := s.node.LeaderOf(ring.MetaPartition)
	if !ok || leader != s.dir.Member() {
		return answer{code: op.Redirect, leader: leader, text: "another server decides who belongs to the cluster"}
	}
	doc := s.ring.Load()
	m, ok := doc.ByJID(jidOf(name))
	switch {
	case !ok:
		return answer{code: op.NotFound}
	case m.State == ring.Leaving:
		return answer{code: op.OK}
	}
	if why := s.whyStay(doc, m); why != "" {
		if !s.opt.faults.clings {
			s.leaving.Delete(m.Store) // who has asked is told that nothing comes of it
		}
		return answer{code: op.Conflict, text: why}
	}
	if only {
		return answer{code: op.OK}
	}
	next, err := s.toLeave(doc, m)
	if err == nil && next != nil {
		err = s.node.ProposeRing(ctx, doc.Epoch, next)
	}
	if err != nil {
		return answer{code: op.Unavailable, text: err.Error()}
	}
	// Whether it leaves already, or a change before it is called off first, is seen when it is asked again.
	return answer{code: op.Unavailable, text: "another change of the servers is called off first; to ask again does no harm, and it is decided when the status of the cluster says that it leaves"}
}

// toLeave is the ring by which a member leaves, or the change before is called off; nil while that is being done, which
// a leader before may have begun. Then this one remembers who is to leave: nobody else does until the ring says it.
func (s *Store) toLeave(doc *ring.Document, m ring.Member) (*ring.Document, error) {
	next, _, err := nextRing(doc, []Server{{Name: nameOf(m), Store: m.Store, Leaving: true}}, time.Now())
	if err == nil && (next != nil || !s.opt.faults.forgets) {
		s.leaving.Store(m.Store, nameOf(m))
	}
	return next, err
}

// Moved tells whether a server has nothing of the data any more: others have taken over what it had.
func (s *Store) Moved(name string) bool {
	doc := s.ring.Load()
	return doc != nil && !slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return nameOf(m) == name })
}

// leavers are the servers that are to leave as soon as the change that was called off for them is at rest. Without them
// those whose joining was called off, too, would begin to join once more, and be called off once more.
func (s *Store) leavers(doc *ring.Document) (list []Server) {
	if s.opt.faults.joinsFirst {
		return nil
	}
	s.leaving.Range(func(data, name any) bool {
		if slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return m.Store == data && m.State != ring.Leaving }) {
			list = append(list, Server{Name: name.(string), Store: data.(string), Leaving: true})
		} else {
			s.leaving.Delete(data)
		}
		return true
	})
	return list
}

// joinable leaves out the servers whose data has left once.
func (s *Store) joinable(ctx context.Context, doc *ring.Document, servers []Server) []Server {
	if s.opt.faults.rejoin {
		return servers
	}
	return slices.DeleteFunc(slices.Clone(servers), func(x Server) bool {
		known := slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return m.Store == x.Store })
		if known || x.Leaving || uuid.Validate(x.Store) != nil {
			return false
		}
		_, stale := s.stale.Load(x.Store)
		return stale || s.hasLeft(ctx, x)
	})
}

// hasLeft asks whether a server's data has left; if nobody can tell it may have.
func (s *Store) hasLeft(ctx context.Context, x Server) bool {
	left, err := s.wasRemoved(ctx, x.Store)
	if left {
		s.stale.Store(x.Store, true)
		s.log.Warn("a server that has left the cluster is there with its old data: it is no part of the cluster until it has an empty data directory", "server", x.Name)
	}
	return left || err != nil
}

// wasRemoved looks for the record of data that has left.
func (s *Store) wasRemoved(ctx context.Context, data string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, serveWait)
	defer cancel()
	v, _, err := s.open(s.newTry(ctx), leftRoot)
	if err != nil {
		return false, err
	}
	defer v.close()
	_, left, err := v.get(data)
	return left, err
}
