package replicated

import (
	"context"

	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// takePlace has this server's replicas follow a ring. Errors: those of replication.Node.Reconcile.
func (s *Store) takePlace(doc *ring.Document) error {
	if had := s.dir.Member(); s.opt.faults.joinsOnce && had != 0 {
		if _, same := doc.Member(had); !same {
			return replication.ErrStranger
		}
	}
	return s.node.Reconcile(doc)
}

// stranger finds out why the ring that this server knows has no place for its data.
func (s *Store) stranger(ctx context.Context) {
	if s.dir.Member() == 0 || s.left.Load() {
		return // it is about to join, or told already
	}
	off, err := s.calledOff(ctx)
	switch {
	case err != nil: // nobody can tell yet
	case !off:
		s.left.Store(true)
		s.fail(ErrLeft)
	case !s.calmed.Swap(true):
		s.log.Info("this server was about to join the others, and another change of the servers came first: it joins when that is done")
	}
}

// calledOff tells whether this server's data is no member because a change was called off in which it was to join; nobody
// has removed it then, and it may join again.
func (s *Store) calledOff(ctx context.Context) (bool, error) {
	known := s.node.Ring()
	if known == nil || s.opt.faults.joinsOnce {
		return false, nil
	}
	for _, m := range known.Members {
		if m.Store == s.dir.Store() && m.State == ring.Joining {
			removed, err := s.wasRemoved(ctx, m.Store)
			return !removed, err
		}
	}
	return false, nil
}

// belongs takes note that the ring has a place for this server's data.
func (s *Store) belongs() {
	s.calmed.Store(false)
	if s.left.Swap(false) {
		s.log.Info("this server is one of the cluster's again")
	}
}
