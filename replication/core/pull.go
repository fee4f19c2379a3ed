package core

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/proto"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

const (
	maxIncoming = 8   // snapshots being pulled at once
	pullAgain   = 10  // ticks after which a follower asks again, or shows that it lives
	pullGiveUp  = 200 // ticks of silence of the sender
)

// StageJob asks the caller to collect a frame of a snapshot, durably now and
// then, beside the group's state; then Staged. Jobs of a group are done in order.
// Without a frame it is to begin with the snapshot of that name, or to go on with
// what is there of it, and with Drop to throw away what is there.
type StageJob struct {
	Group uint32
	Name  []byte
	N     int    // number of the frame
	Frame []byte // nil: begin
	Drop  bool

	pull uint64 // that it is of
}

// incoming is a snapshot that a replica pulls.
type incoming struct {
	number uint64      // of this pull
	name   []byte      // nil: none
	from   uint64      // who holds the picture
	offer  *pb.Message // of Raft's leader; nil: for a repair
	opened bool        // it is known what is there
	done   bool        // all of it is durable
	next   int         // frame that comes next
	asked  int         // frames up to here have been asked for
	end    int         // number of frames; 0: not known
	early  map[int][]byte
	jobs   int    // stage jobs at the caller
	heard  uint64 // tick of the sender's last word
	came   uint64 // tick of the last frame
	pulled uint64 // tick of the last word to the sender
}

// offered takes Raft's offer of a snapshot; false when Raft should see it at once,
// because it needs nothing of it.
func (c *Core) offered(g *group, p *peer, m *pb.Message) bool {
	c.drain(g)
	meta := m.GetSnapshot().GetMetadata()
	term, err := g.log.Term(meta.GetIndex())
	if meta.GetIndex() <= g.commit || err == nil && term == meta.GetTerm() || m.GetTerm() < g.term {
		return false
	}
	in := &g.in
	switch {
	case len(g.held) > 0 || g.restoring || g.repair.swap:
		return true // one is just being put in place
	case in.name != nil && bytes.Equal(in.name, m.GetSnapshot().GetData()):
		in.offer = m
		return true
	case in.name == nil && len(c.pulling) >= maxIncoming:
		return true // the leader offers it again
	}
	c.beginPull(g, p.id, m.GetSnapshot().GetData(), m)
	return true
}

func (c *Core) beginPull(g *group, from uint64, name []byte, offer *pb.Message) {
	c.endPull(g)
	c.pulls++
	g.in = incoming{number: c.pulls, name: bytes.Clone(name), from: from, offer: offer, early: make(map[int][]byte), heard: c.now, came: c.now, pulled: c.now, jobs: 1}
	c.pulling = append(c.pulling, g)
	c.stage(StageJob{Group: g.id, Name: g.in.name, pull: c.pulls})
}

// endPull forgets what is being pulled. What is staged stays, in case the same is
// offered again.
func (c *Core) endPull(g *group) {
	g.in = incoming{}
	c.pulling = slices.DeleteFunc(c.pulling, func(o *group) bool { return o == g })
}

// Staged reports a job of Round.Stages: the frame that comes next, and whether
// the snapshot is complete and durable. After an error what was staged is thrown
// away, and the snapshot will be offered again.
func (c *Core) Staged(job StageJob, next int, done bool, err error) error {
	g := c.groups[job.Group]
	if g == nil {
		return err
	}
	g.staging--
	in := &g.in
	// The same may be pulled again after another: what came of an earlier pull says
	// nothing, for what it staged has been thrown away since.
	if job.Drop || !bytes.Equal(in.name, job.Name) || job.pull != in.number && !c.cfg.Faults.StagedByName {
		return err
	}
	in.jobs--
	if err != nil {
		c.endPull(g)
		c.dropStaged(g)
		return err
	}
	if !in.opened || next != job.N+1 {
		in.opened = true
		in.next, in.asked, in.early = next, next, make(map[int][]byte)
	}
	if in.done = done; done {
		c.complete(g)
		return nil
	}
	c.pull(g)
	return nil
}

func (c *Core) stage(job StageJob) {
	c.groups[job.Group].staging++
	c.next.Stages = append(c.next.Stages, job)
}

func (c *Core) dropStaged(g *group) { c.stage(StageJob{Group: g.id, Drop: true}) }

// framed takes a frame, or a word of the sender that it is alive.
func (c *Core) framed(g *group, p *peer, rec record) {
	in := &g.in
	if in.name == nil || p.id != in.from || !bytes.Equal(in.name, rec.name) {
		return
	}
	in.heard = c.now
	n := int(rec.from)
	if c.cfg.Faults.FramesAsTheyCome {
		n = in.next
	}
	if rec.flags&frameComing != 0 || !in.opened || n < in.next || n >= in.asked {
		return
	}
	in.came = c.now
	if rec.flags&frameLast != 0 {
		in.end = n + 1
	}
	in.early[n] = bytes.Clone(rec.data)
	for frame, ok := in.early[in.next]; ok; frame, ok = in.early[in.next] {
		delete(in.early, in.next)
		in.jobs++
		c.stage(StageJob{Group: g.id, Name: in.name, N: in.next, Frame: frame, pull: in.number})
		in.next++
	}
	c.pull(g)
}

// pull asks for more when half of what was asked for is there. What waits for the
// disk here counts, too: that is the flow control.
func (c *Core) pull(g *group) {
	in := &g.in
	to := in.next + pullWindow - in.jobs
	if in.end > 0 {
		to = min(to, in.end)
	}
	if !in.opened || in.done || to-in.asked < pullWindow/2 && to != in.end || to <= in.asked {
		return
	}
	c.askFrames(g, in.asked, to)
	in.asked = to
}

func (c *Core) askFrames(g *group, from, to int) {
	in := &g.in
	in.pulled = c.now
	if p := c.peer(in.from); p != nil {
		c.record(p, func(dst []byte) []byte { return appendPullRecord(dst, g.id, in.name, uint64(from), uint64(to)) })
		p.urgent = true
	}
}

// pictureLost hears that the sender has the picture no more.
func (c *Core) pictureLost(g *group, p *peer, rec record) {
	if g.in.name != nil && g.in.from == p.id && bytes.Equal(g.in.name, rec.name) && !g.in.done {
		c.endPull(g)
	}
}

// tickPulls asks again for what was lost, and notices senders that are silent.
func (c *Core) tickPulls() {
	for _, g := range slices.Clone(c.pulling) {
		in := &g.in
		switch {
		case g.gone:
			c.endPull(g)
		case in.done:
			c.complete(g)
		case c.now-in.heard >= pullGiveUp:
			c.endPull(g)
		case in.opened && c.now-in.pulled >= pullAgain:
			from := in.next
			if in.jobs >= pullWindow || c.now-in.came < pullAgain {
				from = in.asked // there is enough to do, or frames come, if slowly: just a sign of life
			}
			c.askFrames(g, from, in.asked)
		}
	}
}

// complete gives Raft the offer of a snapshot that is durable here: from then on
// it is there at once. Its leader may be another by now. What the snapshot holds
// is committed, so any leader may hear that this replica has it.
func (c *Core) complete(g *group) {
	in := &g.in
	c.drain(g)
	if in.offer == nil {
		c.repaired(g)
		return
	}
	if g.lead == 0 || len(g.held) > 0 || g.restoring {
		return // later
	}
	m := proto.CloneOf(in.offer)
	m.Term, m.From = new(g.term), new(g.lead)
	c.endPull(g)
	if g.state != raft.StateLeader {
		_ = g.rn.Step(m) // refused where it is outdated
		c.drain(g)
		c.mark(g)
	}
	if !g.restoring && len(g.held) == 0 {
		c.dropStaged(g)
	}
}
