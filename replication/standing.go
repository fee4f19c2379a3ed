package replication

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
)

// standings are what the replicas here say of themselves to who confirms reads by
// itself, without the loop. The loop publishes them, anybody reads them.
type standings struct {
	groups atomic.Pointer[map[uint32]*atomic.Pointer[core.Standing]]
	over   atomic.Bool  // the node has failed, or closes
	using  sync.RWMutex // held by readers of the state: closing waits for them
}

// publish shows what has changed.
func (s *standings) publish(changed []core.Standing) {
	for i := range changed {
		now := changed[i]
		if p := s.of(now.Group); p != nil {
			p.Store(&now)
			continue
		}
		groups := make(map[uint32]*atomic.Pointer[core.Standing])
		if old := s.groups.Load(); old != nil {
			groups = maps.Clone(*old)
		}
		p := new(atomic.Pointer[core.Standing])
		p.Store(&now)
		groups[now.Group] = p
		s.groups.Store(&groups)
	}
}

func (s *standings) of(group uint32) *atomic.Pointer[core.Standing] {
	if groups := s.groups.Load(); groups != nil {
		return (*groups)[group]
	}
	return nil
}

// end lets nobody read any more, and waits for who does.
func (s *standings) end() {
	s.using.Lock()
	defer s.using.Unlock()
	s.over.Store(true)
}

// Term is the highest term of a group in which the replica here has taken part: it
// has voted in no later one. 0: there is none, or it does not say. It never blocks.
func (n *Node) Term(group uint32) uint64 {
	if p := n.standings.of(group); p != nil && !n.standings.over.Load() {
		return p.Load().Term
	}
	return 0
}

// ReadConfirmedBy answers a Get at once, from all that is applied here, where this
// node leads the group and knows of no commit that is not applied. The answer is
// linearizable if the member named, asked for its Term after the read began, says
// the same term as is returned: see DESIGN.md. 0: not so, ask Read; that is also the
// case when the two are no majority of the group's voters. It reads in the caller's
// goroutine, and waits for the disk if what it reads is not in memory.
func (n *Node) ReadConfirmedBy(member uint64, group uint32, r *op.Read) (res op.ReadResult, term uint64) {
	n.standings.using.RLock()
	defer n.standings.using.RUnlock()
	p, part := n.standings.of(group), n.part(group)
	if p == nil || part == nil || n.standings.over.Load() {
		return res, 0
	}
	s := p.Load() // before the state is read
	if !s.Leads || !s.Majority(n.cfg.Dir.Member(), member) {
		return res, 0
	}
	if res = part.Read(r); !s.Shown(&res) {
		return op.ReadResult{}, 0
	}
	n.sawLogTime(part)
	return res, s.Term
}
