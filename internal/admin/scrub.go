package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/ring"
)

const (
	scrubEvery = 200 * time.Millisecond // between looks
	// maxScrubbing is how many groups are compared at a time: data nodes read one
	// state after the other and let few wait.
	maxScrubbing = 4
	// A comparison of which nothing was heard for scrubIdle looks, while no node
	// reads or mends anything of it, is begun again: an entry, a digest or a leader
	// was lost. scrubTries bounds that.
	scrubIdle  = 10
	scrubTries = 10
	// silentLooks without any answer end a scrub.
	silentLooks = 50
)

// Scrub is how far a comparison of replicas has come, and what it has found; its
// JSON is a contract with scripts.
type Scrub struct {
	Done       bool         `json:"done"`
	Partitions int          `json:"partitions"` // to compare, with the ring's own group
	Compared   int          `json:"compared"`   // of these, with equal states on all replicas at the end
	Nodes      []ScrubShare `json:"nodes"`
	Undecided  []uint32     `json:"undecided"`  // replicas differ, and none has what a majority has
	Unfinished []Unfinished `json:"unfinished"` // could not be compared, or not be mended
	Missing    []Missing    `json:"missing"`    // members whose replicas cannot be compared now
}

// Missing is a member whose replicas cannot be compared: told from the first look.
type Missing struct {
	Node       string `json:"node"`
	Why        string `json:"why"`        // what is wrong, and what to do
	Partitions int    `json:"partitions"` // of those to compare, that have a replica there
}

// ScrubShare is what a scrub has found of a node's replicas.
type ScrubShare struct {
	Node       string `json:"node"`
	JID        string `json:"jid"`
	Member     uint64 `json:"member"`
	Mismatches int    `json:"mismatches"` // that were not what the majority has
	Damaged    uint64 `json:"damaged"`    // found damaged, for that reason or by their checksums
	Repaired   uint64 `json:"repaired"`   // of these, that have the state of another replica now
	Reading    int    `json:"reading"`    // being read, or waiting for it
	Mending    int    `json:"mending"`    // damaged and not repaired yet
}

// Unfinished is a partition that could not be compared on all its replicas.
type Unfinished struct {
	Partition uint32 `json:"partition"` // 4294967295 is the ring's own group
	Why       string `json:"why"`
}

// Sound says whether all that was asked for was compared, and is equal now.
func (s *Scrub) Sound() bool { return s.Done && len(s.Undecided)+len(s.Unfinished) == 0 }

// Scrub compares the replicas of groups, a few at a time, and lets those that
// differ from the majority be mended, until all are equal or it is clear why not.
// It tells of each look. Comparisons that have begun go on when ctx ends. Errors:
// ErrNotOperator, ctx's, or the last failure when no node answers any more.
func (c *Client) Scrub(ctx context.Context, doc *ring.Document, groups []uint32, tell func(*Scrub)) error {
	s := newScrubbing(doc, groups)
	silent := 0
	for {
		answers, err := c.askScrub(ctx, doc, "get", s.asked())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrNotOperator):
			return err
		case len(answers) > 0:
			silent = 0
		default:
			if silent++; silent > silentLooks {
				return fmt.Errorf("no data node answers: %w", err)
			}
		}
		begin := s.look(answers, func(m ring.Member) string { return c.nodes.incomparable(doc, m) })
		tell(s.report())
		if s.done() {
			return nil
		}
		if len(begin) > 0 {
			// What is lost here is begun again.
			_, _ = c.askScrub(ctx, doc, "set", begin)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(scrubEvery):
		}
	}
}

// askScrub asks all members that can take part.
func (c *Client) askScrub(ctx context.Context, doc *ring.Document, typ string, groups []uint32) (map[uint64]adminxml.Scrub, error) {
	var arg []byte
	for _, g := range groups {
		arg = append(strconv.AppendUint(arg, uint64(g), 10), ' ')
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := make(map[uint64]adminxml.Scrub)
	err := ErrNoNode
	for _, m := range doc.Members {
		if c.nodes.lacking(doc, m) != "" {
			continue
		}
		wg.Go(func() {
			var one adminxml.Scrub
			failed := c.ask(ctx, m.JID, typ, adminxml.CmdScrub, string(arg), &one)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case failed == nil:
				answers[m.ID] = one
			case isCondition(failed, "forbidden"):
				err = fmt.Errorf("%w: %w", ErrNotOperator, failed)
			case !errors.Is(err, ErrNotOperator):
				err = failed
			}
		})
	}
	wg.Wait()
	return answers, err
}

// scrubbing is a scrub under way.
type scrubbing struct {
	doc     *ring.Document
	jobs    []*scrubJob // not ended, in order; the first ones are under way
	base    map[uint64]adminxml.Scrub
	now     map[uint64]adminxml.Scrub
	found   map[uint64]int // mismatches, by member
	groups  []uint32       // all that were asked for
	missing []Missing      // as of the last look
	equal   int
	unclear []uint32
	rest    []Unfinished
}

// scrubJob is one group.
type scrubJob struct {
	group uint32
	base  uint64 // results at or below this index are of earlier scrubs
	told  int
	idle  int // looks
	tries int
}

func newScrubbing(doc *ring.Document, groups []uint32) *scrubbing {
	s := &scrubbing{
		doc: doc, groups: groups, base: make(map[uint64]adminxml.Scrub), now: make(map[uint64]adminxml.Scrub),
		found: make(map[uint64]int),
	}
	for _, g := range groups {
		s.jobs = append(s.jobs, &scrubJob{group: g})
	}
	return s
}

func (s *scrubbing) done() bool { return len(s.jobs) == 0 }

// asked are the groups that a look is about: those under way, and those that come
// next, so that it is known what earlier scrubs have told of them.
func (s *scrubbing) asked() (groups []uint32) {
	for _, j := range s.jobs[:min(len(s.jobs), 2*maxScrubbing)] {
		groups = append(groups, j.group)
	}
	return groups
}

// look takes the answers of the members, and returns the groups to begin with.
// lacking tells what is to be done for a member that cannot take part, or "".
func (s *scrubbing) look(answers map[uint64]adminxml.Scrub, lacking func(ring.Member) string) (begin []uint32) {
	s.noteMissing(lacking)
	newest := make(map[uint32]adminxml.Scrubbed)
	busy := make(map[uint32]bool)
	for id, a := range answers {
		if old, ok := s.now[id]; !ok || old.Damaged > a.Damaged || old.Repaired > a.Repaired {
			s.base[id] = adminxml.Scrub{} // it was started again: it counts from nothing
			if !ok {
				s.base[id] = a
			}
		}
		s.now[id] = a
		for _, r := range a.Results {
			if r.Index > newest[r.Group].Index {
				newest[r.Group] = r
			}
		}
		for _, g := range slices.Concat(a.Reading, a.Mending) {
			busy[g] = true
		}
	}
	if len(answers) == 0 {
		return nil
	}
	left := s.jobs[:0]
	for i, j := range s.jobs {
		if i < maxScrubbing && j.tries > 0 && s.judge(j, newest[j.group], busy[j.group], s.down(j.group, lacking)) {
			continue
		}
		left = append(left, j)
	}
	s.jobs = left
	for _, j := range s.jobs[:min(len(s.jobs), maxScrubbing)] {
		if j.tries > 0 && j.idle < scrubIdle {
			continue
		}
		j.base = max(j.base, newest[j.group].Index)
		j.told, j.idle = 0, 0
		j.tries++
		begin = append(begin, j.group)
	}
	return begin
}

// judge takes a result of a group, and tells whether the group is through with.
func (s *scrubbing) judge(j *scrubJob, r adminxml.Scrubbed, busy bool, down []string) bool {
	j.idle++
	if busy {
		j.idle = 0
	}
	if r.Index > j.base {
		switch {
		case r.Undecided:
			s.unclear = append(s.unclear, j.group)
			return true
		case len(r.Wrong) > 0 && r.Told+len(down) >= r.Voters:
			for _, id := range r.Wrong {
				s.found[id]++
			}
			j.base = r.Index // they are mended and compared again
			return false
		case r.Told == r.Voters:
			s.equal++
			return true
		case r.Told > j.told:
			j.told, j.idle = r.Told, 0
		}
		if len(down) > 0 && !busy && r.Told >= r.Voters-len(down) {
			s.rest = append(s.rest, Unfinished{j.group, fmt.Sprintf("%d of %d replicas are equal; %s", r.Told, r.Voters, strings.Join(down, ", "))})
			return true
		}
	}
	// In a change of the ring the group has more replicas than voters.
	if all := len(s.doc.Group(j.group)); s.doc.Change == nil && !busy && 2*(all-len(down)) <= all {
		s.rest = append(s.rest, Unfinished{j.group, "no majority of its replicas is there; " + strings.Join(down, ", ")})
		return true
	}
	if j.idle < scrubIdle || j.tries < scrubTries {
		return false
	}
	why := "no leader answers for it"
	if j.told > 0 {
		why = fmt.Sprintf("only %d of %d replicas have told what they hold", j.told, r.Voters)
	}
	if len(down) > 0 {
		why += "; " + strings.Join(down, ", ")
	}
	s.rest = append(s.rest, Unfinished{j.group, why})
	return true
}

// down tells what is to be done for the members of a group that cannot take part.
func (s *scrubbing) down(group uint32, lacking func(ring.Member) string) (remedies []string) {
	for _, m := range s.doc.ReplicasOf(group) {
		if do := lacking(m); do != "" {
			remedies = append(remedies, do)
		}
	}
	return remedies
}

func (s *scrubbing) noteMissing(lacking func(ring.Member) string) {
	s.missing = s.missing[:0]
	replicas := make(map[uint64]int)
	for _, g := range s.groups {
		for _, m := range s.doc.ReplicasOf(g) {
			replicas[m.ID]++
		}
	}
	for _, m := range s.doc.Members {
		if do := lacking(m); do != "" && replicas[m.ID] > 0 {
			node, _, _ := strings.Cut(m.JID, "@")
			s.missing = append(s.missing, Missing{node, do, replicas[m.ID]})
		}
	}
}

func (s *scrubbing) report() *Scrub {
	out := &Scrub{
		Done: s.done(), Partitions: len(s.groups), Compared: s.equal,
		Nodes: []ScrubShare{}, Undecided: append([]uint32{}, s.unclear...), Unfinished: append([]Unfinished{}, s.rest...),
		Missing: append([]Missing{}, s.missing...),
	}
	for _, m := range s.doc.Members {
		node, _, _ := strings.Cut(m.JID, "@")
		now, base := s.now[m.ID], s.base[m.ID]
		out.Nodes = append(out.Nodes, ScrubShare{
			Node: node, JID: m.JID, Member: m.ID, Mismatches: s.found[m.ID],
			Damaged: now.Damaged - base.Damaged, Repaired: now.Repaired - base.Repaired,
			Reading: len(now.Reading), Mending: len(now.Mending),
		})
	}
	return out
}
