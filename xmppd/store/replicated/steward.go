package replicated

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// stewardEvery is the time between two looks at the ring and its servers.
const stewardEvery = 500 * time.Millisecond

func never() time.Time { return time.Unix(1<<40, 0) }

// steward looks after this server's place in the cluster: it founds it or joins, follows the
// ring, and, while it leads the meta group, has the ring follow the servers.
func (s *Store) steward() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.stops.Go(func() {
		select {
		case <-s.quit:
		case <-ctx.Done():
		}
		cancel()
	})
	ticker := time.NewTicker(stewardEvery)
	defer ticker.Stop()
	for {
		s.round(ctx)
		select {
		case <-s.quit:
			return
		case <-ticker.C:
		case <-s.look:
		}
	}
}

// wake has the steward look at once.
func (s *Store) wake() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

func (s *Store) round(ctx context.Context) {
	s.held.sweep(time.Now().Add(-heldTime))
	s.lookAtFiles()
	s.follow(ctx)
	if s.ring.Load() == nil {
		if s.opt.Found != nil && s.opt.Found() {
			if others, free := s.ringless(ctx); free {
				s.found(others)
			}
		}
		return
	}
	s.manage(ctx)
	s.watch.look(s)
}

// saw takes note of a ring document.
func (s *Store) saw(doc *ring.Document) {
	for {
		old := s.ring.Load()
		if old != nil && (old.Epoch >= doc.Epoch || old.Cluster != doc.Cluster) {
			return
		}
		if s.ring.CompareAndSwap(old, doc) {
			s.heard(doc.Epoch)
			return
		}
	}
}

func (s *Store) epoch() uint64 {
	if doc := s.ring.Load(); doc != nil {
		return doc.Epoch
	}
	return 0
}

// heard takes note that there is a ring of an epoch.
func (s *Store) heard(epoch uint64) {
	for old := s.newest.Load(); epoch > old; old = s.newest.Load() {
		if s.newest.CompareAndSwap(old, epoch) {
			if epoch > s.epoch() {
				s.wake()
			}
			return
		}
	}
}

// follow asks another server whether there is a newer ring, and takes it over. Who has none asks all, until one has.
func (s *Store) follow(ctx context.Context) {
	for _, name := range s.others() {
		a, err := s.askServer(ctx, name, &request{kind: askRing, epoch: s.epoch()}, stewardEvery)
		if err == nil && a.code == op.OK {
			s.adopt(a.doc, name)
		}
		if s.ring.Load() != nil {
			break
		}
	}
	doc := s.ring.Load()
	if doc == nil {
		return
	}
	if known := s.node.Ring(); known != nil && known.Epoch >= doc.Epoch {
		return
	}
	switch err := s.takePlace(doc); {
	case err == nil:
		s.belongs()
	case errors.Is(err, replication.ErrRenumbered): // it is told when it is done
	case errors.Is(err, replication.ErrStranger):
		s.stranger(ctx)
	default:
		s.log.Error("the ring of the servers can't be followed", "epoch", doc.Epoch, "err", err)
		s.fail(err)
	}
}

// adopt takes over a ring document that another server has sent.
func (s *Store) adopt(raw []byte, from string) {
	doc, err := ring.Decode(raw)
	if err != nil {
		s.log.Warn("the ring of another server makes no sense", "server", from, "err", err)
		return
	}
	if c := s.dir.Cluster(); c != "" && c != doc.Cluster {
		s.log.Warn("the ring of another cluster's server is not taken over", "server", from, "cluster", doc.Cluster, "own", c)
		return
	}
	s.saw(doc)
}

// others are the other servers that are known, in any order.
func (s *Store) others() (names []string) {
	for _, x := range s.opt.Membership.Servers() {
		if x.Name != s.opt.Name {
			names = append(names, x.Name)
		}
	}
	if doc := s.ring.Load(); doc != nil {
		for _, m := range doc.Members {
			if m.Store != s.ID() && nameOf(m) != s.opt.Name && !s.calls.isDown(nameOf(m)) {
				names = append(names, nameOf(m))
			}
		}
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// ringless asks all listed servers whether they have a ring. free: none has, and none that may make one comes before this
// server; who does not answer may have one. The servers are those that can be of a new ring.
func (s *Store) ringless(ctx context.Context) (others []ring.Member, free bool) {
	for _, x := range s.opt.Membership.Servers() {
		if x.Name == s.opt.Name {
			continue
		}
		a, err := s.askServer(ctx, x.Name, &request{kind: askRing}, stewardEvery)
		switch {
		case err == nil && a.code == op.OK:
			s.adopt(a.doc, x.Name)
			return nil, false
		case err != nil || a.code != op.NotFound:
			return nil, false
		case a.more && x.Name < s.opt.Name && !s.opt.faults.rivals:
			s.log.Warn("two servers may found the cluster, and this one leaves it to the other: cluster.found belongs to one server only", "other", x.Name)
			return nil, false
		}
		// Its own word is newer than gossip's.
		if uuid.Validate(a.text) == nil {
			others = append(others, ring.Member{JID: jidOf(x.Name), Store: a.text, Zone: x.Zone})
		}
	}
	return others, true
}

// found makes a new cluster of this server and others that have none. They take part as soon as they hear of it: it has its
// copies from the beginning, and nothing has to move.
func (s *Store) found(others []ring.Member) {
	members := append([]ring.Member{{JID: jidOf(s.opt.Name), Store: s.ID(), Zone: s.opt.Zone}}, others...)
	doc, err := ring.New(members, ring.Options{Cluster: uuid.NewString(), Partitions: s.opt.Partitions})
	if err == nil {
		s.founded.Store(true)
		err = s.node.Reconcile(doc) // durable here before anybody else hears of it
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.log.Info("a new cluster of servers is founded", "cluster", doc.Cluster, "servers", len(members))
	if s.opt.Founded != nil {
		s.opt.Founded()
	}
	s.wake()
}
