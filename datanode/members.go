package datanode

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// view is what a node makes of one ring document. It does not change after it
// was published.
type view struct {
	doc    *ring.Document
	self   uint64 // own member id; 0: this store is no member
	access *access
	ring   []byte // the <ring/> element that answers who asks for the document
	peers  map[uint64]*peer
	byJID  map[string]*peer // by both addresses; without the node itself
	// left are the JIDs of who was a member in a document known before: they may
	// ask for the ring, to learn that they are none any more.
	left map[string]struct{}
}

// newView builds the view of a document; peers known before are kept with what
// is known of them.
func newView(doc *ring.Document, store string, old *view) (*view, error) {
	b, err := ring.Encode(doc)
	if err != nil {
		return nil, err
	}
	v := &view{
		doc: doc, access: newAccess(doc), ring: wire.AppendRing(nil, doc.Epoch, b),
		peers: make(map[uint64]*peer), byJID: make(map[string]*peer), left: make(map[string]struct{}),
	}
	if old != nil {
		maps.Copy(v.left, old.left)
		for _, m := range old.doc.Members {
			v.left[m.JID] = struct{}{}
		}
	}
	for _, m := range doc.Members {
		delete(v.left, m.JID)
		successor, _ := doc.ByJID(m.JID)
		lost := successor.ID != m.ID // its disk: another store has its JID now
		if m.Store == store && !lost {
			v.self = m.ID
			continue
		}
		var p *peer
		if old != nil {
			p = old.peers[m.ID]
		}
		if p == nil || p.jid != m.JID || p.store != m.Store || p.lost != lost {
			p = newPeer(m)
			p.lost = lost
		}
		v.peers[m.ID] = p
		if !lost {
			v.byJID[m.JID], v.byJID[p.addresses[1]] = p, p
		}
	}
	return v, nil
}

// probeEvery is how often something is sent to a peer that presence calls
// unavailable: presence is a hint and may be wrong.
const probeEvery = int64(500 * time.Millisecond)

// peer is another member.
type peer struct {
	id     uint64
	jid    string
	store  string
	lost   bool         // nothing is sent to it: its JID is another member's now
	probed atomic.Int64 // when something was last sent while down, ns

	addresses [2]string    // jid, and that of its second stream if it has one
	headers   [2][]byte    // `<message to='…' type='normal'>`
	seen      [2]sight     // by each stream of this node
	away      atomic.Bool  // the engine was told so
	wayed     atomic.Int32 // the last way, as a number

	// Of the pacer: what waits, and what is on its way.
	appends, frames lane
	flight          flight
}

func newPeer(m ring.Member) *peer {
	p := &peer{id: m.ID, jid: m.JID, store: m.Store, addresses: [2]string{m.JID, wire.SecondJID(m.JID)}}
	for i, to := range p.addresses {
		p.headers[i] = append(stanza.AppendAttr([]byte(`<message`), "to", to), ` type='normal'>`...)
	}
	return p
}

// index is which of the peer's addresses one is.
func (p *peer) index(address string) int {
	if address == p.addresses[1] {
		return 1
	}
	return 0
}

// reachable says whether sending to it is worth it.
func (p *peer) reachable(there bool, now int64) bool {
	if p.lost || there {
		return !p.lost
	}
	last := p.probed.Load()
	return now-last > probeEvery && p.probed.CompareAndSwap(last, now)
}
