package exchange

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/directory"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Bounds of replies that wait for their receiver.
const (
	replyTime  = time.Minute
	replyBytes = 8 << 20
	replyEvery = 2 * time.Second // between looks for the receiver
	replyNames = 4096            // replies that are remembered as delivered
)

// replies are errors for senders that are nowhere to be found: their server is cut off, or they are about to be
// somewhere else. They wait until the sender is there.
type replies struct {
	mu    sync.Mutex
	list  []reply
	bytes int
	last  uint64 // number of a reply; begins anywhere

	// What was delivered here: another server may send it again, when it doesn't know.
	done map[uint64]struct{}
	ring [replyNames]uint64
	at   int
}

type reply struct {
	stored
	number uint64 // unique for all servers, as good as
	until  time.Time
}

func newReplies() replies {
	return replies{last: rand.Uint64(), done: make(map[uint64]struct{})} //nolint:gosec // no secret
}

// Reply implements router.Cluster: the error goes to where the session is, or waits until that is known.
func (x *Exchange) Reply(to stanza.JID, raw []byte) {
	v := &x.replies
	v.mu.Lock()
	v.last++
	r := reply{stored{to: to.String(), raw: raw}, v.last, time.Now().Add(replyTime)}
	v.mu.Unlock()
	x.answer(&r)
}

// answer sends a reply to where the session is.
func (x *Exchange) answer(r *reply) {
	account := bare(r.to)
	x.dir.Ask(account, func(e directory.Entry) {
		server := x.gone.find([]byte(r.to)).server
		if len(r.to) > len(account) && server == "" {
			server = e.Find(r.to[len(account)+1:])
		}
		switch {
		case server == x.cfg.Self:
			x.lane(account).add(func(b *session.Batch) { x.replyHere(r, b) })
		case server == "" || r.hops >= maxHops:
			x.park(r)
		default:
			frame := binary.AppendUvarint(appendHead(nil, kindReply, r.hops+1, r.to), r.number)
			if x.cfg.Mesh.Send(server, Stanzas, append(frame, r.raw...)) != nil {
				x.park(r)
			}
		}
	})
}

// replied takes a reply from another server, or one that did not get there.
func (x *Exchange) replied(s *stored, again bool) {
	number, n := binary.Uvarint(s.raw)
	if n <= 0 || again && x.cfg.Faults.LoseReplies {
		return
	}
	s.raw = s.raw[n:]
	r := &reply{*s, number, time.Now().Add(replyTime)}
	if again {
		r.hops = 0
		x.dir.Forget(bare(r.to))
		x.answer(r)
		return
	}
	x.lane(bare(r.to)).add(func(b *session.Batch) { x.replyHere(r, b) })
}

// replyHere delivers a reply to a session that should be here, once.
func (x *Exchange) replyHere(r *reply, b *session.Batch) {
	v := &x.replies
	v.mu.Lock()
	_, done := v.done[r.number]
	v.mu.Unlock()
	if done {
		return
	}
	dst := x.cfg.Table.Get(r.to)
	switch {
	case dst != nil && b.Send(dst, r.raw, nil, nil, nil):
		v.mu.Lock()
		delete(v.done, v.ring[v.at])
		v.ring[v.at] = r.number
		v.done[r.number] = struct{}{}
		v.at = (v.at + 1) % replyNames
		v.mu.Unlock()
	case dst == nil && r.hops < maxHops: // who has sent it knew less
		x.dir.Forget(bare(r.to))
		x.answer(r)
	default:
		x.park(r)
	}
}

// park lets a reply wait for its receiver.
func (x *Exchange) park(r *reply) {
	v := &x.replies
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.bytes+len(r.raw) > replyBytes || !time.Now().Before(r.until) || x.cfg.Faults.LoseReplies {
		x.counts.RepliesLost.Add(1)
		return
	}
	r.hops = 0
	v.bytes += len(r.raw)
	v.list = append(v.list, *r)
}

// answerAgain looks for the receivers of replies that wait.
func (x *Exchange) answerAgain() {
	v := &x.replies
	v.mu.Lock()
	list := v.list
	v.list, v.bytes = nil, 0
	v.mu.Unlock()
	for i := range list {
		x.dir.Forget(bare(list[i].to))
		x.answer(&list[i])
	}
}

// runReplies looks for them again and again.
func (x *Exchange) runReplies() {
	tick := time.NewTicker(replyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			x.answerAgain()
		case <-x.stop:
			return
		}
	}
}
