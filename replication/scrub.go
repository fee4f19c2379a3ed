package replication

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/core"
	"github.com/rosterdb/rosterdb/replication/state"
)

const (
	defaultScrubEvery = 24 * time.Hour
	defaultScrubRate  = 16 << 20
	// maxScrubs is how many pictures may wait to be read; the replica of a scrub
	// beyond that does not answer it.
	maxScrubs = 4
	// scrubPause is the least time between scrubs that come in turn.
	scrubPause = time.Second
)

// errDiffers marks a state that is not that of the majority.
var errDiffers = errors.New("the digest of the state differs from that of the majority")

// ScrubStats tells of the scrubs of a node's groups. Counts are since its start.
type ScrubStats struct {
	Last       time.Time // when digests of a group led here were last compared; zero: never
	Compared   uint64    // groups led here whose replicas were compared
	Mismatches uint64    // replicas found, on groups led here, that differ from the majority
	Undecided  uint64    // comparisons without a majority: an operator has to look
	Damaged    uint64    // states here that were found damaged
	Repaired   uint64    // of these, replaced by that of another replica
	Reading    int       // pictures that are being read here or wait for it
	Mending    int       // replicas here that are damaged now
}

// ScrubResult is what the last scrub of a group led here has told so far.
type ScrubResult struct {
	core.Scrub
	At time.Time // when the newest digest of it was told
}

// ScrubState tells how far scrubs have come.
type ScrubState struct {
	Stats   ScrubStats
	Results []ScrubResult // of the groups asked for, as far as they have any
	Reading []uint32      // groups whose state is being read here or waits for it
	Mending []uint32      // groups whose replica here is damaged now
}

// scrubs are the pictures to be read, and what came of earlier ones.
type scrubs struct {
	pictures chan scrubbed

	mu      sync.Mutex
	stats   ScrubStats
	results map[uint32]ScrubResult // of groups led here
	reading map[uint32]int         // pictures
}

type scrubbed struct {
	group uint32
	*state.Picture
}

func (s *scrubs) take(v scrubbed) {
	s.reads(v.group, 1)
	select {
	case s.pictures <- v:
	default:
		s.reads(v.group, -1)
		v.Close()
	}
}

// reads notes that one picture more or less of a group is to be read.
func (s *scrubs) reads(group uint32, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[group] += n; s.reading[group] == 0 {
		delete(s.reading, group)
	}
}

// close closes what is left when nobody takes pictures any more.
func (s *scrubs) close() {
	for {
		select {
		case v := <-s.pictures:
			v.Close()
		default:
			return
		}
	}
}

// note keeps a result, and counts what it tells more than the one before.
func (s *scrubs) note(r core.Scrub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, old := time.Now(), s.results[r.Group]
	if old.Index != r.Index {
		old = ScrubResult{}
		s.stats.Compared++
	}
	s.results[r.Group] = ScrubResult{r, now}
	s.stats.Last = now
	s.stats.Mismatches += uint64(max(0, len(r.Wrong)-len(old.Wrong)))
	if r.Undecided && !old.Undecided {
		s.stats.Undecided++
	}
}

func (s *scrubs) count(f func(*ScrubStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

// Scrub compares, in the background, the states of the replicas of groups led
// here: the named ones, or all. Each replica reads all of its state at one log
// position, checks every checksum and tells a digest; those that differ from the
// majority get its state. It returns how many scrubs have begun.
func (n *Node) Scrub(groups ...uint32) int {
	if len(groups) == 0 {
		groups = slices.Sorted(maps.Keys(*n.parts.Load()))
	}
	var ps []Proposal
	now := time.Now().UnixMilli()
	for _, g := range groups {
		if leader, ok := n.LeaderOf(g); ok && leader == n.cfg.Dir.Member() {
			// What came of it is told by Status; the entry's own result says nothing.
			ps = append(ps, Proposal{Group: g, Cmd: state.EncodeScrub(nil, now), Done: func(op.WriteResult) {}})
		}
	}
	if len(ps) > 0 {
		n.ProposeBatch(ps)
	}
	return len(ps)
}

// ScrubState tells how far scrubs have come, with the results of some groups.
func (n *Node) ScrubState(groups ...uint32) ScrubState {
	st := ScrubState{Mending: n.mending()}
	n.scrubs.mu.Lock()
	defer n.scrubs.mu.Unlock()
	for _, g := range groups {
		if r, ok := n.scrubs.results[g]; ok {
			st.Results = append(st.Results, r)
		}
	}
	st.Stats = n.scrubs.stats
	st.Reading = slices.Sorted(maps.Keys(n.scrubs.reading))
	st.Stats.Reading, st.Stats.Mending = len(st.Reading), len(st.Mending)
	return st
}

func (n *Node) mending() (groups []uint32) {
	for id, part := range *n.parts.Load() {
		if part.Damaged() != nil {
			groups = append(groups, id)
		}
	}
	slices.Sort(groups)
	return groups
}

// scrubInTurn scrubs one group after the other, all within ScrubEvery.
func (n *Node) scrubInTurn() {
	next := uint32(0)
	for {
		groups := slices.Sorted(maps.Keys(*n.parts.Load()))
		t := time.NewTimer(max(n.cfg.ScrubEvery/time.Duration(len(groups)+1), scrubPause))
		select {
		case <-n.quit:
			t.Stop()
			return
		case <-t.C:
		}
		if len(groups) == 0 {
			continue
		}
		i, _ := slices.BinarySearch(groups, next)
		g := groups[i%len(groups)]
		if !n.cfg.Faults.ScrubsOne {
			next = g + 1
		}
		n.Scrub(g)
	}
}

// digestScrubs reads pictures, slowly, and tells their digests.
func (n *Node) digestScrubs() {
	for {
		select {
		case <-n.quit:
			return
		case v := <-n.scrubs.pictures:
			n.digest(v)
		}
	}
}

func (n *Node) digest(v scrubbed) {
	defer v.Close()
	defer n.scrubs.reads(v.group, -1)
	sum, err := v.Digest(func(bytes int) error {
		t := time.NewTimer(time.Duration(float64(bytes) / float64(n.cfg.ScrubRate) * float64(time.Second)))
		defer t.Stop()
		select {
		case <-n.quit:
			return ErrClosed
		case <-t.C:
			return nil
		}
	})
	part := n.part(v.group)
	switch {
	case part == nil || errors.Is(err, ErrClosed):
	case errors.Is(err, state.ErrCorrupt):
		part.MarkDamaged(err)
	case err != nil:
		n.logger.Error("scrub failed", "group", v.group, "err", err)
	default:
		index, _, _ := v.Position()
		n.inbox.call(func() { n.core.Digest(v.group, index, sum) })
	}
}

// scrubResults takes note of what digests have told.
func (n *Node) scrubResults(r *core.Round) {
	for _, s := range r.Scrubs {
		n.scrubs.note(s)
		switch {
		case s.Undecided:
			n.logger.Error("replicas hold different states and none is that of a majority", "group", s.Group, "index", s.Index)
		case len(s.Wrong) > 0:
			n.logger.Error("replicas differ from the majority and are repaired from it", "group", s.Group, "index", s.Index, "members", s.Wrong)
		}
	}
	for _, g := range r.Damages {
		if part := n.part(g); part != nil {
			n.wg.Go(func() {
				if err := part.Condemn(errDiffers); err != nil {
					n.logger.Error("that a replica is to be repaired would be forgotten by a restart", "group", g, "err", err)
				}
			})
		}
	}
	for _, g := range r.Repaired {
		// What was found after the swap and before its end was not listened to.
		n.inbox.call(func() { n.checkDamage(g) })
	}
}

// onDamaged hears of a damaged partition while that is locked.
func (n *Node) onDamaged(group uint32, err error) {
	n.scrubs.count(func(st *ScrubStats) { st.Damaged++ })
	n.logger.Error("the state of a replica here is damaged; it is fetched from another", "group", group, "err", err)
	n.inbox.call(func() { n.checkDamage(group) })
}

// checkDamage tells the core of a damaged partition. In the loop.
func (n *Node) checkDamage(group uint32) {
	part := n.part(group)
	if part == nil || part.Damaged() == nil {
		return
	}
	applied, _ := part.Applied()
	n.damaged(group, nil, applied)
}

func (n *Node) damaged(group uint32, t *core.Task, applied uint64) {
	if err := n.core.Damaged(group, t, applied); err != nil {
		n.fail(fmt.Errorf("%w: %w; %s", state.ErrCorrupt, err, core.WhatToDo))
	}
}

// undone tells whether a task could not be done because the state is damaged.
// It comes again after the repair.
func (n *Node) undone(t *core.Task) bool {
	part := n.part(t.Group)
	if t.Restore != nil || part == nil || part.Damaged() == nil {
		return false
	}
	applied, _ := part.Applied()
	n.inbox.call(func() { n.damaged(t.Group, t, applied) })
	return true
}

func (n *Node) repaired(t *core.Task) {
	n.scrubs.count(func(st *ScrubStats) { st.Repaired++ })
	n.logger.Info("a damaged replica has the state of another", "group", t.Group, "index", t.Restore.GetMetadata().GetIndex())
}
