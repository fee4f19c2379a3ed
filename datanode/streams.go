package datanode

import (
	"sync"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// streams are the logins of a node: one, or two to different servers of a cluster. One
// of them is used until it ends; then the other is, if it is up.
type streams struct {
	conns [2]atomic.Pointer[xmppconn.Conn] // nil: not logged in
	used  atomic.Int32
	mu    sync.Mutex // held while used changes
}

// now is the index of the stream that is used.
func (s *streams) now() int { return int(s.used.Load()) }

// conn is the stream that is used; nil: not logged in.
func (s *streams) conn() *xmppconn.Conn { return s.conns[s.now()].Load() }

// of is the stream with an index if it is up, else the one that is used.
func (s *streams) of(i int) *xmppconn.Conn {
	if c := s.conns[i].Load(); c != nil {
		return c
	}
	return s.conn()
}

// up notes a login.
func (s *streams) up(i int, c *xmppconn.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[i].Store(c)
	if s.conns[s.now()].Load() == nil {
		s.used.Store(int32(i))
	}
}

// down notes the end of a stream. The other one is used from then on if it is up.
func (s *streams) down(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[i].Store(nil)
	if s.now() == i && s.conns[1-i].Load() != nil {
		s.used.Store(int32(1 - i))
	}
}

// push writes what was queued.
func (s *streams) push() {
	for i := range s.conns {
		if c := s.conns[i].Load(); c != nil {
			c.Push()
		}
	}
}

// Where a peer is, as the server of one of this node's streams tells. Without a word it is
// taken to be there, under its first address.
const (
	firstGone   = 1 << iota
	secondThere // the peer has two streams
)

// sight is that of one stream. Safe for concurrent use.
type sight struct{ bits atomic.Uint32 }

// there notes that an address (0 or 1) is available.
func (s *sight) there(address int) {
	if address == 0 {
		s.bits.And(^uint32(firstGone))
	} else {
		s.bits.Or(secondThere)
	}
}

// gone notes that an address is not available.
func (s *sight) gone(address int) {
	if address == 0 {
		s.bits.Or(firstGone)
	} else {
		s.bits.And(^uint32(secondThere))
	}
}

// knows says whether an address is taken to be available.
func (s *sight) knows(address int) bool {
	bits := s.bits.Load()
	return address == 0 && bits&firstGone == 0 || address == 1 && bits&secondThere != 0
}

// down says that the peer has no address.
func (s *sight) down() bool { return s.bits.Load() == firstGone }

// address is the one to send to.
func (s *sight) address() int {
	if s.bits.Load() == firstGone|secondThere {
		return 1
	}
	return 0
}

// way is how to send to a peer: by the stream in use, unless its server knows that the peer
// is away and that of the other stream does not. Not there: both know it.
func (n *Node) way(p *peer) (stream, address int, there bool) {
	stream = n.streams.now()
	if other := 1 - stream; p.seen[stream].down() && n.streams.conns[other].Load() != nil && !p.seen[other].down() {
		stream = other
	}
	return stream, p.seen[stream].address(), !p.seen[stream].down()
}

// lookAt tells the engine when a peer has come or gone. A member that has another stream
// is not gone: what is sent goes there.
func (n *Node) lookAt(p *peer) {
	stream, address, there := n.way(p)
	if way := int32(2*stream + address); p.wayed.Swap(way) != way || !there {
		n.pacer.forget(p) // the parts of one thing take one way
	}
	switch {
	case there && p.away.CompareAndSwap(true, false):
		n.log.Info("member is available", "member", p.id, "peer", p.jid)
		n.engine.PeerUp(p.id)
	case !there && p.away.CompareAndSwap(false, true):
		n.log.Info("member is unavailable", "member", p.id, "peer", p.jid)
		n.engine.PeerDown(p.id)
	}
}
