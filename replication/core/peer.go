package core

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// eagerCampaigns is how often a replica tries to take over, each second tick,
// after a hint that the leader is gone: the others may hear of it a moment later.
const eagerCampaigns = 4

// startCampaigns is the same for a replica that starts and is preferred: the
// others may take a while to start, too.
const startCampaigns = 20

// peer is another node that shares groups with this one.
type peer struct {
	id          uint64
	incarnation uint64 // of its last start; 0: never heard of
	noLead      bool   // it asked not to be made leader
	up          bool   // as far as known: a hint, never proof
	upSince     uint64 // tick
	heard, sent uint64 // ticks
	buf         []byte // batch being filled
	head        int    // length of its head; equal to len(buf): no record yet
	urgent      bool   // something in it should not wait for company
	opened      uint64 // tick in which it was begun
	asks        bool   // it has appends that are waited for
	underway    int64  // bytes of appends sent as bulk and not answered
	owes        uint64 // tick in which the first append was sent whose answer is waited for; 0: none
}

func (c *Core) peer(id uint64) *peer {
	i, ok := slices.BinarySearchFunc(c.peers, id, func(p *peer, id uint64) int {
		switch {
		case p.id < id:
			return -1
		case p.id > id:
			return 1
		}
		return 0
	})
	if ok {
		return c.peers[i]
	}
	return nil
}

// meet makes peers of those ids that are none yet.
func (c *Core) meet(ids []uint64) {
	for _, id := range ids {
		if id == c.cfg.Member || c.peer(id) != nil {
			continue
		}
		i := 0
		for i < len(c.peers) && c.peers[i].id < id {
			i++
		}
		c.peers = slices.Insert(c.peers, i, &peer{id: id, up: true, upSince: c.now, heard: c.now})
	}
}

// Receive takes a batch of a peer, of which nothing is kept. An error tells that it,
// or the rest of it, was dropped.
func (c *Core) Receive(from uint64, batch []byte) error {
	p := c.peer(from)
	if p == nil {
		if c.doc == nil {
			return nil
		}
		if _, ok := c.doc.Member(from); !ok {
			return nil
		}
		// It has a replica, still or already, of which the configurations here do not
		// tell.
		c.meet([]uint64{from})
		p = c.peer(from)
	}
	r, err := openBatch(batch, from)
	if err != nil {
		return fmt.Errorf("batch of member %d: %w", from, err)
	}
	if c.cfg.Faults.AnyAddressee {
		r.to = c.cfg.Member
	}
	if r.to != c.cfg.Member {
		return fmt.Errorf("batch of member %d: %w: %d", from, ErrMisaddressed, r.to)
	}
	r.aliased = c.cfg.Faults.BatchKept
	c.heardOf(p, r.flags, r.incarnation)
	for {
		rec, ok, err := r.next()
		if err != nil {
			return fmt.Errorf("batch of member %d: %w", from, err)
		}
		if !ok {
			return nil
		}
		if rec.kind == recReport {
			c.reported(rec.group, rec.report)
			continue
		}
		g := c.groups[rec.group]
		if g == nil || g.rn == nil || g.gone {
			continue
		}
		if !c.ofRaft(g, p, rec) {
			continue
		}
		g.asked = 0
		if g.deaf(rec.msg) && !c.cfg.Faults.EmptyVotes || c.outdated(g, rec.msg) {
			continue
		}
		if !c.admits(g, p, rec, r.flags) {
			continue
		}
		// raft refuses what is outdated or from strangers; it repeats what matters.
		g.toldCommit(rec.msg)
		_ = g.rn.Step(rec.msg)
		c.mark(g)
		if len(g.underway) > 0 {
			c.answeredBulk(g)
		}
		if c.outdoes(g, rec.msg) {
			c.campaign(g)
		}
	}
}

// admits does what a message demands of its group before Raft gets it: waking it,
// above all. False: Raft is not to get it.
func (c *Core) admits(g *group, p *peer, rec record, flags byte) bool {
	switch rec.msg.GetType() {
	case pb.MsgHeartbeatResp:
		return !g.asleep // else of the last heartbeat before it fell asleep
	case pb.MsgHeartbeat:
		if !g.asleep {
			return true
		}
	case pb.MsgAppResp:
		p.owes = 0
	case pb.MsgApp:
		g.patient = rec.kind == recPatient && flags&flagWaited == 0
	case pb.MsgTimeoutNow:
		if g.repair.on {
			return false // a leader that does not know gives it leadership
		}
	case pb.MsgSnap:
		c.wake(g)
		return !c.offered(g, p, rec.msg)
	case pb.MsgReadIndex:
		if !c.confirms(g) {
			return false // the follower asks again
		}
	}
	c.wake(g)
	return true
}

// ofRaft passes a record on; true when it is a message for Raft.
func (c *Core) ofRaft(g *group, p *peer, rec record) bool {
	switch rec.kind {
	case recSleep:
		c.sleepAsked(g, p, rec)
	case recAsk:
		c.asks(g, p, rec)
	case recGone:
		c.told(g, rec)
	case recPull:
		c.pulled(g, p, rec)
	case recFrame:
		c.framed(g, p, rec)
	case recLost:
		c.pictureLost(g, p, rec)
	case recWant:
		c.wanted(g, p, rec)
	case recOffer:
		c.stateOffered(g, p, rec)
	case recDigest:
		c.digested(g, p.id, digest{index: rec.index, sum: rec.nonce})
	case recWrong:
		c.wrong(g, p, rec)
	default:
		return true
	}
	return false
}

// heardOf notes that a peer lives. One that was started anew has forgotten that
// it led: its groups need not wait for the time-out.
func (c *Core) heardOf(p *peer, flags byte, incarnation uint64) {
	p.heard = c.now
	p.noLead = flags&flagNoLead != 0
	if !p.up {
		c.PeerUp(p.id)
	}
	if incarnation <= p.incarnation {
		return
	}
	restarted := p.incarnation != 0
	p.incarnation = incarnation
	if restarted {
		c.forgetBulkTo(p)
		c.leaderGone(p)
		c.rouse(p.id) // it does not know who leads
	}
}

// PeerDown is the hint that a peer is gone: the groups it led elect anew at once.
func (c *Core) PeerDown(id uint64) {
	p := c.peer(id)
	if p == nil || !p.up {
		return
	}
	p.up = false
	c.forgetBulkTo(p)
	c.leaderGone(p)
	for _, g := range c.list {
		if g.rn != nil && g.state == raft.StateLeader && c.tracks(g, id) {
			g.rn.ReportUnreachable(id)
			c.wake(g) // a leader that sleeps would never notice that its majority is gone
			c.mark(g)
		}
	}
}

// PeerUp is the hint that a peer is back: groups led here tell it what it missed.
func (c *Core) PeerUp(id uint64) {
	p := c.peer(id)
	if p == nil || p.up {
		return
	}
	p.up, p.upSince, p.heard = true, c.now, c.now
	c.rouse(id)
}

// rouse wakes the groups led here that have a replica on the peer.
func (c *Core) rouse(id uint64) {
	for _, g := range c.list {
		if g.state == raft.StateLeader && (slices.Contains(g.table, id) || c.tracks(g, id)) {
			c.wake(g)
		}
	}
}

func (c *Core) tracks(g *group, id uint64) bool {
	found := false
	g.rn.WithProgress(func(other uint64, _ raft.ProgressType, _ tracked) { found = found || other == id })
	return found
}

// leaderGone makes the groups led by p forget it. The first healthy replica in
// the order of the table campaigns at once, the others after their time-outs.
func (c *Core) leaderGone(p *peer) {
	for _, g := range c.list {
		if g.rn == nil || g.lead != p.id {
			continue
		}
		c.wake(g)
		// Fails only on a learner of lease reads; there are none.
		_ = g.rn.ForgetLeader()
		c.mark(g)
		if c.heir(g) == c.cfg.Member {
			g.eager = eagerCampaigns
			c.campaign(g)
		}
	}
}

// heir is the voter that should lead: the first in the table that is up and
// willing, else any such; 0 if there is none.
func (c *Core) heir(g *group) uint64 {
	for _, id := range g.table {
		if c.willing(id) && slices.Contains(g.conf.GetVoters(), id) {
			return id
		}
	}
	for _, id := range g.conf.GetVoters() {
		if c.willing(id) {
			return id
		}
	}
	return 0
}

func (c *Core) willing(id uint64) bool {
	if c.leavers[id] {
		return false
	}
	if id == c.cfg.Member {
		return (!c.full && !c.low || c.cfg.Faults.LeadWhileFull) && !c.stopping
	}
	p := c.peer(id)
	return p != nil && p.up && !p.noLead
}

func (c *Core) campaign(g *group) {
	if g.gone || g.repair.on {
		return // it could not serve; where nobody else can lead, raft's time-out decides
	}
	// Refused where it makes no sense (a learner, a leader).
	_ = g.rn.Campaign()
	c.mark(g)
}

// tickPeer tells a peer that this node lives, and notices its silence.
func (c *Core) tickPeer(p *peer) {
	if p.up && c.now-p.heard > uint64(c.cfg.SilentTicks) {
		c.PeerDown(p.id)
	}
	if c.now-p.sent >= uint64(c.cfg.PeerTicks) {
		if len(p.buf) == 0 {
			c.openBatch(p)
		}
		p.urgent = true
	}
}

// send puts a raft message into the batch for its receiver.
func (c *Core) send(g *group, m *pb.Message) {
	p := c.peer(m.GetTo())
	if p == nil {
		return // dropped from the table and the configuration
	}
	switch m.GetType() {
	case pb.MsgSnap:
		c.snapshotSent(g, p, m)
	case pb.MsgReadIndexResp:
		// It may be of a term that has ended in this very step: a heartbeat in the
		// new one would pass this node for its leader.
		if g.state == raft.StateLeader && m.GetTerm() == g.term {
			c.tellCommit(g, p)
		}
	}
	if c.needless(g, m) || c.asBulk(g, p, m) {
		return
	}
	g.tellCommitted(m)
	c.makeRoom(p, recordRoom(m)) // before what it may flush is told from what comes
	kind := byte(recMessage)
	switch {
	case c.patient(g, m):
		kind = recPatient
	case g.urgent(m):
		p.urgent = true
		p.asks = p.asks || m.GetType() == pb.MsgApp
	}
	c.record(p, func(dst []byte) []byte { return appendMessageRecord(dst, kind, g.id, m) })
}

// makeRoom sees to it that a record of so many bytes has room in the peer's batch, and starts a new batch
// where it would not fit: to find that out by encoding it costs a copy of all that is large.
func (c *Core) makeRoom(p *peer, size int) {
	size += batchTail
	if len(p.buf) > p.head && len(p.buf)+size > c.cfg.MaxBatch {
		c.flushPeer(p)
	}
	if len(p.buf) == 0 {
		c.openBatch(p)
	}
	if need := len(p.buf) + size; need > cap(p.buf) && need > c.cfg.MaxBatch/8 {
		// Where values are large more of them follow: the batch grows once.
		p.buf = append(make([]byte, 0, max(need, c.cfg.MaxBatch)), p.buf...)
	}
}

// smallRecord is more than most records take that have no entries, in bytes.
const smallRecord = 128

// record adds a record to the peer's batch, and starts a new batch where it does
// not fit.
func (c *Core) record(p *peer, encode func([]byte) []byte) {
	if len(p.buf) == 0 {
		c.openBatch(p)
	}
	at := len(p.buf)
	if cap(p.buf)-at < smallRecord {
		p.buf = slices.Grow(p.buf, at) // append alone grows large ones by a quarter, and copies each time
	}
	p.buf = encode(p.buf)
	if len(p.buf)+batchTail <= c.cfg.MaxBatch || at == p.head {
		return
	}
	rec, urgent, asks := slices.Clone(p.buf[at:]), p.urgent, p.asks
	p.buf = p.buf[:at]
	c.flushPeer(p)
	c.openBatch(p)
	p.buf = append(p.buf, rec...)
	p.urgent, p.asks = urgent, asks // whichever of the records it is
}

// maxFree is how many batches are kept for their memory (count).
const maxFree = 8

// Recycle gives the memory of a batch of Sends back that nobody reads any more. Without it
// each batch is made anew.
func (c *Core) Recycle(batch []byte) {
	if len(c.free) < maxFree && cap(batch) <= 2*c.cfg.MaxBatch {
		c.free = append(c.free, batch[:0])
	}
}

func (c *Core) openBatch(p *peer) {
	if n := len(c.free); n > 0 && p.buf == nil {
		p.buf, c.free[n-1] = c.free[n-1], nil
		c.free = c.free[:n-1]
	}
	p.buf = appendBatchHead(p.buf, 0, c.cfg.Incarnation, p.id) // flushPeer adds the flags, so that they are of then
	p.head = len(p.buf)
	p.opened = c.now
}

func (c *Core) flags() (flags byte) {
	if c.full || c.low || c.stopping || len(c.repairing) > 0 {
		flags |= flagNoLead
	}
	return flags
}

// flushPeer seals the peer's batch, if there is one.
func (c *Core) flushPeer(p *peer) {
	if len(p.buf) == 0 {
		return
	}
	p.buf[1] |= c.flags()
	if c.now > p.opened {
		p.buf[1] |= flagWaited
	}
	c.next.Sends = append(c.next.Sends, Send{To: p.id, Batch: sealBatch(p.buf)})
	if p.asks && p.owes == 0 {
		p.owes = c.now
	}
	p.buf, p.urgent, p.asks = nil, false, false
	p.sent = c.now
}
