package replicated

import (
	"context"
	"fmt"
	"slices"
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
// again does no harm. Errors: ErrNoMember, ErrLast, ErrUnavailable, those of ctx.
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
	t := s.newTry(ctx)
	if _, err := s.write(t, leftRoot, op.Condition{}, []op.Mutation{{Kind: op.Put, Path: m.Store}}); err != nil {
		return err
	}
	t.unknown = false // what is to come may be asked again
	for {
		a, done, err := t.next(ring.MetaPartition, &request{kind: askLeave, text: name}, true)
		t.unknown = false
		switch {
		case err != nil:
			return err
		case done && a.code == op.OK:
			return nil
		case done && a.code == op.NotFound: // somebody else has asked for it, and it is done
			return nil
		case done:
			return fmt.Errorf("%w: %s", ErrUnavailable, a.text)
		}
		if err := t.ended(); err != nil {
			return err
		}
	}
}

// leaveHere has a server leave, if this one leads those that decide.
func (s *Store) leaveHere(ctx context.Context, name string) answer {
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
	next, _, err := nextRing(doc, []Server{{Name: name, Leaving: true}}, time.Now())
	if err == nil && next != nil {
		err = s.node.ProposeRing(ctx, doc.Epoch, next)
	}
	if err != nil {
		return answer{code: op.Unavailable, text: err.Error()}
	}
	// Whether it leaves already, or a change before it is called off first, is seen when it is asked again.
	return answer{code: op.Unavailable, text: "it is about to leave"}
}

// Moved tells whether a server has nothing of the data any more: others have taken over what it had.
func (s *Store) Moved(name string) bool {
	doc := s.ring.Load()
	return doc != nil && !slices.ContainsFunc(doc.Members, func(m ring.Member) bool { return nameOf(m) == name })
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
	ctx, cancel := context.WithTimeout(ctx, serveWait)
	defer cancel()
	v, _, err := s.open(s.newTry(ctx), leftRoot)
	if err != nil {
		return true
	}
	defer v.close()
	_, left, err := v.get(x.Store)
	if left {
		s.stale.Store(x.Store, true)
		s.log.Warn("a server that has left the cluster is there with its old data: it is no part of the cluster until it has an empty data directory", "server", x.Name)
	}
	return left || err != nil
}
