package core

import "slices"

// testStaging is what a node has of a snapshot, durably.
type testStaging struct {
	name   string
	values []string
	next   int
	done   bool
}

// transfer does the work that snapshots make: a frame is a value.
func (n *testNode) transfer(r *Round) {
	for _, job := range r.Pictures {
		st := *n.state[job.Group]
		st.values = slices.Clone(st.values)
		if n.pictures == nil {
			n.pictures = make(map[uint64]testState)
		}
		n.pictures[job.Number] = st
		n.w.printf("node %d: picture of group %d at %d", n.id, job.Group, st.index)
		if err := n.core.PictureDone(job, st.index, st.term, st.conf, nil); err != nil {
			n.w.printf("node %d: %v", n.id, err)
		}
	}
	for _, job := range r.Frames {
		if n.patient {
			n.waiting = append(n.waiting, job)
		} else {
			n.frame(job)
		}
	}
	for _, number := range r.Closed {
		delete(n.pictures, number)
		n.w.printf("node %d: a picture is closed", n.id)
	}
	for _, job := range r.Stages {
		n.stage(job)
	}
	n.scrubs = append(n.scrubs, r.Scrubs...)
	n.damages = append(n.damages, r.Damages...)
}

// frame makes a frame, or loses it.
func (n *testNode) frame(job FrameJob) {
	n.sent++
	if n.most > 0 && (n.sent%n.keep != 0 || n.sent > n.most) {
		n.lost(job)
		return
	}
	st := n.pictures[job.Number]
	var frame []byte
	last := job.Frame == len(st.values)
	switch {
	case last:
		frame = []byte("end")
	case job.Frame < len(st.values):
		frame = []byte("=" + st.values[job.Frame])
	}
	if err := n.core.FrameDone(job, frame, last, nil); err != nil {
		n.w.printf("node %d: %v", n.id, err)
	}
}

// lost makes a frame whose batch gets lost.
func (n *testNode) lost(job FrameJob) {
	_ = n.core.FrameDone(job, []byte("lost"), false, nil)
	sends := n.core.next.Sends
	n.core.next.Sends = sends[:len(sends)-1]
}

func (n *testNode) stage(job StageJob) {
	if job.Drop {
		delete(n.staged, job.Group)
		_ = n.core.Staged(job, 0, false, nil)
		return
	}
	s := n.staged[job.Group]
	if s == nil || s.name != string(job.Name) {
		s = &testStaging{name: string(job.Name)}
		n.staged[job.Group] = s
	}
	if job.Frame == nil {
		n.w.printf("node %d: group %d is staged from frame %d on", n.id, job.Group, s.next)
	} else if job.N == s.next {
		s.next++
		if s.done = string(job.Frame) == "end"; !s.done {
			s.values = append(s.values, string(job.Frame[1:]))
		}
	}
	if err := n.core.Staged(job, s.next, s.done, nil); err != nil {
		n.w.printf("node %d: %v", n.id, err)
	}
}
