package core

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// A snapshot does not travel in Raft's message. The caller takes a picture of the
// state and holds it; MsgSnap carries the picture's name, and the follower pulls
// it frame by frame (pull.go). Raft is given the MsgSnap only when all of it is
// durable there, so it never waits for a transfer, and its restore is a swap.
//
// Followers that pull tell with each record that they live; Raft, which sends them
// nothing else meanwhile, is told when one does so no more.
const (
	maxPictures  = 8     // held at once
	pictureIdle  = 600   // ticks for which a picture is kept for one who may come back
	pictureFresh = 40    // ticks for which it waits for the first
	pictureTurn  = 8     // ticks for which it is not dropped for another group's: Raft asks for it at a heartbeat
	pictureLife  = 72000 // ticks after which it ends in any case: its transaction keeps the state's file growing
	takerSilent  = 100   // ticks without a word of a follower
	pullWindow   = 8     // frames on their way to a follower
)

type snapPhase uint8

const (
	snapNone snapPhase = iota
	snapMaking
	snapReady
)

// PictureJob asks the caller to take a picture of a group's state, to hold it
// under the number until Round.Closed names it, and to report by PictureDone.
type PictureJob struct {
	Group  uint32
	Number uint64
	Size   int // about how many bytes a frame should have
}

// FrameJob asks for a frame of a held picture, then FrameDone. The caller decides
// when: frames are what it sends least urgently.
type FrameJob struct {
	Group  uint32
	Number uint64 // of the picture
	Frame  int
	To     uint64
}

// outgoing is a group's picture.
type outgoing struct {
	phase  snapPhase
	number uint64
	snap   *pb.Snapshot // its Data is the picture's name
	born   uint64       // tick
	until  uint64       // tick after which it is dropped if nobody takes it
	takers []*taker
	wants  []uint64 // damaged replicas that asked for it while it was being taken
}

// taker is a follower that pulls the picture.
type taker struct {
	peer   uint64
	heard  uint64 // tick of its last word
	raft   bool   // Raft waits for it
	queued []int  // frames asked of the caller
	sent   int    // frames up to here have been made,
	bytes  int64  // with so many bytes
}

func (s *outgoing) taker(peer uint64) *taker {
	for _, t := range s.takers {
		if t.peer == peer {
			return t
		}
	}
	return nil
}

// snapshot is raft.Storage's Snapshot: it asks the caller for a picture and is
// temporarily unavailable until that is there. raft asks again at the follower's
// next heartbeat.
func (c *Core) snapshot(g *group) (*pb.Snapshot, error) {
	s := &g.snap
	if s.phase == snapReady {
		// One from before the last change of the configuration does not name those
		// who came with it: they would refuse it.
		if s.snap.GetMetadata().GetIndex() >= max(g.log.offset, g.confAt) {
			return s.snap, nil
		}
		if len(s.takers) == 0 {
			c.dropPicture(g)
		}
	}
	c.makePicture(g)
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// makePicture asks for a picture if there is none and room for one.
func (c *Core) makePicture(g *group) {
	if g.snap.phase != snapNone || g.repair.on || len(c.pictured) >= maxPictures && !c.dropIdlePicture() {
		return
	}
	c.pictures++
	g.snap = outgoing{phase: snapMaking, number: c.pictures}
	c.pictured = append(c.pictured, g)
	c.next.Pictures = append(c.next.Pictures, PictureJob{Group: g.id, Number: c.pictures, Size: c.maxMessage()})
}

// dropIdlePicture makes room by dropping a picture that nobody takes, and that those who may want it had time to ask for: if
// groups dropped each other's at once, none would ever be taken where more want one than there is room for.
func (c *Core) dropIdlePicture() bool {
	for _, g := range c.pictured {
		had := c.now-g.snap.born >= pictureTurn || c.cfg.Faults.SnatchPictures
		if g.snap.phase == snapReady && len(g.snap.takers) == 0 && had {
			c.dropPicture(g)
			return true
		}
	}
	return false
}

// PictureDone reports a picture of Round.Pictures: where the state stands in it,
// or the error that kept it from being taken.
func (c *Core) PictureDone(job PictureJob, index, term uint64, conf []byte, err error) error {
	g := c.groups[job.Group]
	if g == nil || g.snap.phase != snapMaking || g.snap.number != job.Number {
		c.next.Closed = append(c.next.Closed, job.Number)
		return nil
	}
	var cs *pb.ConfState
	if err == nil {
		cs, err = DecodeConf(conf)
	}
	g.snap.phase = snapReady
	if err != nil || index == 0 || g.repair.on { // a wrong state must not spread
		c.dropPicture(g)
		if err != nil {
			err = fmt.Errorf("take picture of group %d: %w", job.Group, err)
		}
		return err
	}
	g.snap.snap = newSnapshot(index, term, cs, c.name(job.Number))
	g.snap.born, g.snap.until = c.now, c.now+pictureFresh
	for _, id := range g.snap.wants {
		if p := c.peer(id); p != nil {
			c.offerState(g, p)
		}
	}
	return nil
}

// name names a picture for ever: an earlier life of this node has others.
func (c *Core) name(number uint64) []byte {
	b := binary.AppendUvarint(nil, c.cfg.Member)
	return binary.AppendUvarint(binary.AppendUvarint(b, c.cfg.Incarnation), number)
}

// snapshotSent notes that Raft counts on a follower to take the picture, unless
// that was dropped since Raft had its name.
func (c *Core) snapshotSent(g *group, p *peer, m *pb.Message) {
	if g.snap.phase != snapReady || !bytes.Equal(g.snap.snap.GetData(), m.GetSnapshot().GetData()) {
		c.notTaking(g, p.id)
		return
	}
	t := g.snap.taker(p.id)
	if t == nil {
		t = &taker{peer: p.id}
		g.snap.takers = append(g.snap.takers, t)
	}
	t.raft, t.heard = true, c.now
}

// pulled takes a follower's wish for frames from..to, or just its sign of life.
func (c *Core) pulled(g *group, p *peer, rec record) {
	s := &g.snap
	if s.phase != snapReady || !bytes.Equal(rec.name, s.snap.GetData()) {
		c.record(p, func(dst []byte) []byte { return appendNameRecord(dst, recLost, g.id, rec.name) })
		p.urgent = true
		c.notTaking(g, p.id)
		return
	}
	t := s.taker(p.id)
	if t == nil {
		t = &taker{peer: p.id}
		s.takers = append(s.takers, t)
	}
	t.heard = c.now
	news := false
	for n := int(rec.from); n < int(rec.to) && len(t.queued) < 2*pullWindow; n++ {
		if !slices.Contains(t.queued, n) {
			t.queued = append(t.queued, n)
			c.next.Frames = append(c.next.Frames, FrameJob{Group: g.id, Number: s.number, Frame: n, To: p.id})
			news = true
		}
	}
	if !news {
		c.record(p, func(dst []byte) []byte { return appendFrameRecord(dst, g.id, rec.name, 0, frameComing, nil) })
		p.urgent = true
	}
}

// FrameDone reports a frame of Round.Frames; last tells that it ends the picture.
// It is nil where one behind the last was asked for.
func (c *Core) FrameDone(job FrameJob, frame []byte, last bool, err error) error {
	g := c.groups[job.Group]
	if g == nil || g.snap.phase != snapReady || g.snap.number != job.Number {
		return nil
	}
	if err != nil {
		c.losePicture(g)
		return fmt.Errorf("frame %d of group %d: %w", job.Frame, job.Group, err)
	}
	t, p := g.snap.taker(job.To), c.peer(job.To)
	if t == nil || p == nil {
		return nil
	}
	t.queued = slices.DeleteFunc(t.queued, func(n int) bool { return n == job.Frame })
	if frame == nil {
		return nil
	}
	if job.Frame >= t.sent {
		t.sent, t.bytes = job.Frame+1, t.bytes+int64(len(frame))
	}
	var flags byte
	if last {
		flags = frameLast
	}
	b := appendBatchHead(make([]byte, 0, len(frame)+64), c.flags(), c.cfg.Incarnation, p.id)
	b = appendFrameRecord(b, g.id, g.snap.snap.GetData(), uint64(job.Frame), flags, frame)
	c.next.Sends = append(c.next.Sends, Send{
		To: p.id, Batch: sealBatch(b),
		Bulk: Bulk{Kind: BulkFrame, Group: g.id, Age: job.Number, First: uint64(job.Frame), Last: uint64(job.Frame)},
	})
	return nil
}

// notTaking tells Raft that a follower has not got its snapshot.
func (c *Core) notTaking(g *group, id uint64) {
	if g.state == raft.StateLeader && c.inSnapshot(g, id) {
		g.rn.ReportSnapshot(id, raft.SnapshotFailure)
		c.mark(g)
	}
}

func (c *Core) inSnapshot(g *group, id uint64) (yes bool) {
	g.rn.WithProgress(func(other uint64, _ raft.ProgressType, pr tracked) {
		yes = yes || other == id && pr.State == tracker.StateSnapshot
	})
	return yes
}

// tickPictures follows the pictures until all who take them have them.
func (c *Core) tickPictures() {
	for _, g := range slices.Clone(c.pictured) {
		if g.snap.phase == snapReady {
			c.tickPicture(g)
		}
	}
}

func (c *Core) tickPicture(g *group) {
	s := &g.snap
	s.takers = slices.DeleteFunc(s.takers, func(t *taker) bool {
		waits := t.raft && g.state == raft.StateLeader
		switch {
		case waits && !c.inSnapshot(g, t.peer):
			s.until = c.now // it has it
		case c.now-t.heard >= takerSilent || !c.isUp(t.peer):
			s.until = c.now + pictureIdle // it may come back
			c.notTaking(g, t.peer)
		default:
			return false
		}
		c.dropFrames(g, t.peer)
		return true
	})
	switch {
	case c.now-s.born >= pictureLife:
		c.losePicture(g)
	case len(s.takers) == 0 && (c.now >= s.until || g.gone):
		c.dropPicture(g)
	}
}

// losePicture drops a picture that is being taken.
func (c *Core) losePicture(g *group) {
	for _, t := range g.snap.takers {
		if p := c.peer(t.peer); p != nil {
			c.record(p, func(dst []byte) []byte { return appendNameRecord(dst, recLost, g.id, g.snap.snap.GetData()) })
			p.urgent = true
		}
		c.notTaking(g, t.peer)
	}
	c.dropPicture(g)
}

// dropPicture forgets a picture that is ready; one being taken ends by itself.
func (c *Core) dropPicture(g *group) {
	if g.snap.phase != snapReady {
		return
	}
	for _, t := range g.snap.takers {
		c.dropFrames(g, t.peer)
	}
	c.next.Closed = append(c.next.Closed, g.snap.number)
	c.pictured = slices.DeleteFunc(c.pictured, func(o *group) bool { return o == g })
	g.snap = outgoing{}
}
