package replicated

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// copies of each partition, when there are as many servers.
const copies = ring.DefaultReplicas

// manage has the ring follow the servers while this one leads the meta group.
func (s *Store) manage(ctx context.Context) {
	doc := s.ring.Load()
	if leader, ok := s.node.LeaderOf(ring.MetaPartition); !ok || leader != s.dir.Member() {
		if !s.opt.faults.clings {
			s.leaving.Clear() // by the time that this one leads again the operator may want something else
		}
		return
	}
	servers := s.joinable(ctx, doc, s.opt.Membership.Servers())
	for _, x := range s.leavers(doc) {
		if m, ok := doc.ByJID(jidOf(x.Name)); ok && s.whyStay(doc, m) == "" { // others may be missing by now
			servers = append(servers, x)
		}
	}
	next, why, err := nextRing(doc, servers, time.Now())
	if err == nil && next != nil {
		ctx, cancel := context.WithTimeout(ctx, s.opt.Patience)
		defer cancel()
		if err = s.node.ProposeRing(ctx, doc.Epoch, next); err == nil {
			s.log.Info("the ring of the servers changes", "epoch", next.Epoch, "why", why)
		}
	}
	if err != nil && !errors.Is(err, replication.ErrRingChanged) && !errors.Is(err, replication.ErrNotMetaLeader) {
		s.log.Warn("the ring of the servers does not follow them yet", "why", why, "err", err)
	}
}

// nextRing is the document by which the ring follows the servers; nil if it does. Members join when
// their server is listed, and leave when an operator wants it or when their server has come back with
// other data; never because it is silent.
func nextRing(doc *ring.Document, servers []Server, now time.Time) (next *ring.Document, why string, err error) {
	members, why, urgent := wanted(doc, servers)
	switch {
	case doc.Change != nil && (doc.Change.Canceled || !urgent):
		return nil, "", nil // one change after the other
	case doc.Change != nil:
		// It may wait for who is to leave; the new one begins when it has come to rest.
		next, err = doc.Cancel()
		return next, why, err
	}
	usable := 0
	for _, m := range members {
		if m.State != ring.Leaving {
			usable++
		}
	}
	if usable == 0 || why == "" && doc.Replicas == min(copies, usable) {
		return nil, "", nil
	}
	from := *doc
	from.Replicas = min(copies, usable)
	plan, err := ring.MakePlan(&from, members, ring.PlanOptions{})
	if err != nil {
		return nil, why, err
	}
	next, err = plan.Begin(&from, members, uuid.NewString(), 0, now.UnixMilli())
	return next, why, err
}

// wanted is what the members should be. why is empty if nothing is to change; urgent says that
// somebody is to leave, of whom the document does not know yet.
func wanted(doc *ring.Document, servers []Server) (members []ring.Member, why string, urgent bool) {
	members = slices.Clone(doc.Members)
	leave := func(i int, reason string) {
		if members[i].State != ring.Leaving {
			members[i].State = ring.Leaving
			why, urgent = reason, true
		}
	}
	for _, x := range servers {
		at := slices.IndexFunc(members, func(m ring.Member) bool { return m.Store == x.Store })
		named := slices.IndexFunc(members, func(m ring.Member) bool { return nameOf(m) == x.Name && m.State != ring.Leaving })
		switch {
		case x.Leaving && at >= 0:
			leave(at, x.Name+" leaves")
		case x.Leaving && named >= 0 && x.Store == "":
			leave(named, x.Name+" leaves")
		case at >= 0, x.Leaving, uuid.Validate(x.Store) != nil:
		default:
			if named >= 0 {
				leave(named, x.Name+" has other data than before")
			}
			members = doc.NewMember(members, ring.Member{JID: jidOf(x.Name), Store: x.Store, Zone: x.Zone})
			if why == "" {
				why = x.Name + " joins"
			}
		}
	}
	return members, why, urgent
}
