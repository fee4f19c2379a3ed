package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/ring"
)

// leadersTimeout is the longest that one node may take to list its groups'
// leaders: a frozen node must not hold up the answer of all others.
const leadersTimeout = 2 * time.Second

// Leaders says which partitions have a leader, as of one look.
type Leaders struct {
	Led    int            // partitions with a leader
	ByNode map[string]int // of these, by the full JID of the leader
	Silent []string       // full JIDs of members that are online and did not answer
	// Leaderless are partitions that nobody leads, as far as they are known to
	// somebody who answers.
	Leaderless []uint32
	Behind     map[string]Behind // by the full JID of a member whose replicas lack entries
	Moving     []adminxml.Moving // groups on their way to other replicas
	Ahead      time.Duration     // of log time, before what most of the nodes' clocks say

	faults faults
}

// faults are seeded by tests of this package, which must then turn red.
type faults struct {
	uncounted bool // copies under way are no progress
	uncapped  bool // they may be more than there is to copy
}

// Behind is how far a member's replicas are behind their leaders.
type Behind struct {
	Groups  int    `json:"groups"`
	Entries uint64 `json:"entries"`
}

// Leaders asks every member that is online which leaders it knows. It counts
// each partition once, whatever the number of nodes that claim it: the sum of
// what nodes announce in presence may count a partition twice and hide another
// one that has no leader. Errors: ErrNotOperator; a node that does not answer is
// none, but listed in Silent.
func (c *Client) Leaders(ctx context.Context, doc *ring.Document) (*Leaders, error) {
	answers, silent, err := c.statuses(ctx, doc, adminxml.WithLeaders)
	if err != nil {
		return nil, err
	}
	reports := make(map[uint64][][3]uint64, len(answers))
	for member, s := range answers {
		reports[member] = s.Leaders
	}
	l := countLeaders(doc, reports)
	l.Silent = silent
	l.gather(doc, answers)
	return l, nil
}

// statuses asks every member that is online for its status with a detail. Who does
// not answer in time is silent. Errors: ErrNotOperator.
func (c *Client) statuses(ctx context.Context, doc *ring.Document, detail string) (answers map[uint64]*NodeStatus, silent []string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, leadersTimeout, fmt.Errorf("no answer within %v", leadersTimeout))
	defer cancel()
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		denied error
	)
	answers = make(map[uint64]*NodeStatus)
	for _, m := range doc.Members {
		if !c.nodes.online(m.JID) {
			continue
		}
		wg.Go(func() {
			var s NodeStatus
			err := c.ask(ctx, m.JID, "get", adminxml.CmdStatus, detail, &s)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				answers[m.ID] = &s
			case isCondition(err, "forbidden"):
				denied = fmt.Errorf("%w: %w", ErrNotOperator, err)
			default:
				silent = append(silent, m.JID)
			}
		})
	}
	wg.Wait()
	return answers, silent, denied
}

// gather adds up what leaders say of replicas that lack something.
func (l *Leaders) gather(doc *ring.Document, answers map[uint64]*NodeStatus) {
	l.Behind = make(map[string]Behind)
	var times, clocks []int64
	for _, s := range answers {
		times, clocks = append(times, s.Time), append(clocks, s.Clock)
		l.Moving = append(l.Moving, s.Moving...)
		for _, b := range s.Behind {
			if m, ok := doc.Member(b.Member); ok {
				sum := l.Behind[m.JID]
				sum.Groups += b.Groups
				sum.Entries += b.Entries
				l.Behind[m.JID] = sum
			}
		}
	}
	_, ahead := aheadOf(times, clocks)
	l.Ahead = time.Duration(ahead) * time.Millisecond
	slices.SortFunc(l.Moving, func(a, b adminxml.Moving) int { return cmp.Compare(a.Group, b.Group) })
}

// countLeaders counts the partitions whose leader says so itself, in a term that
// is no older than what any replica knows of: a leader that was deposed and has
// not heard of it yet leads nothing. reports are {group, leader, term} by the
// member that says so.
func countLeaders(doc *ring.Document, reports map[uint64][][3]uint64) *Leaders {
	newest := make(map[uint64]uint64) // term by partition, where a leader is known
	claims := make(map[uint64]uint64) // member by partition
	terms := make(map[uint64]uint64)  // of the claims
	for member, report := range reports {
		for _, r := range report {
			group, leader, term := r[0], r[1], r[2]
			if group >= uint64(doc.Partitions) || leader == 0 {
				continue // the ring's own group, or no leader known
			}
			newest[group] = max(newest[group], term)
			if leader == member && term >= terms[group] {
				claims[group], terms[group] = member, term
			}
		}
	}
	l := &Leaders{ByNode: make(map[string]int)}
	for p := range uint32(doc.Partitions) {
		group := uint64(p)
		member, claimed := claims[group]
		if !claimed || terms[group] < newest[group] {
			l.Leaderless = append(l.Leaderless, p)
			continue
		}
		l.Led++
		if m, ok := doc.Member(member); ok {
			l.ByNode[m.JID]++
		}
	}
	return l
}

// AllLed says whether every partition has a leader, and if not how many do. It
// is cheap to poll while that cannot be so yet: presence tells, and nobody is
// asked.
func (c *Client) AllLed(ctx context.Context, doc *ring.Document) (led int, all bool) {
	for _, v := range c.Nodes() {
		if v.Online && v.Health.Cluster == doc.Cluster {
			led += v.Health.Led
		}
	}
	if led < doc.Partitions {
		return led, false
	}
	l, err := c.Leaders(ctx, doc)
	if err != nil {
		return 0, false
	}
	return l.Led, l.Led >= doc.Partitions
}

// ErrNotOperator: the account may not administrate the data nodes.
var ErrNotOperator = errors.New("this account is not an operator of the data nodes")
