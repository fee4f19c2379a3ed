package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// Progress is how far the running change has come; its JSON is a contract with
// scripts.
type Progress struct {
	Running    bool     `json:"running"`
	Epoch      uint64   `json:"epoch"`
	ID         string   `json:"id,omitempty"`
	Paused     bool     `json:"paused,omitempty"`
	Canceled   bool     `json:"canceled,omitempty"`
	RoundsLeft int      `json:"rounds_left"`      // after this one
	Moves      int      `json:"moves"`            // replicas that the change makes in all
	Done       int      `json:"done"`             // of these, made
	Bytes      uint64   `json:"bytes"`            // to copy in all, estimated; 0: not known
	BytesDone  uint64   `json:"bytes_done"`       // with what is sent of copies under way
	Rate       float64  `json:"rate"`             // bytes a second
	LeftS      float64  `json:"left_s,omitempty"` // seconds, at that rate
	Throttle   int64    `json:"throttle,omitempty"`
	BegunMS    int64    `json:"begun_ms,omitempty"`
	Nodes      []Share  `json:"nodes"`
	Stalls     []string `json:"stalls"` // why it does not go on, or slower

	// Passing is what would be stalls if it lasted: elections, and nodes that the
	// leaders have not heard from yet. Who looks again decides (see Settle).
	Passing []string `json:"-"`
	// Uneven is the number of replicas that a rebalance would move, known while no
	// change is running.
	Uneven int `json:"uneven,omitempty"`
}

// Share is a node's part in a change.
type Share struct {
	Node    string `json:"node"`
	JID     string `json:"jid"`
	Member  uint64 `json:"member"`
	State   string `json:"state"`   // in the ring: active, joining, leaving
	Online  bool   `json:"online"`  // by presence
	Holds   int    `json:"holds"`   // partitions, by the table
	Gets    int    `json:"gets"`    // that it has still to get
	GivesUp int    `json:"gives"`   // that it has still to give up
	Behind  uint64 `json:"behind"`  // entries that its replicas lack
	Catches int    `json:"catches"` // replicas that are catching up
}

// Settle makes what has been passing for too long a stall.
func (p *Progress) Settle() {
	p.Stalls, p.Passing = append(p.Stalls, p.Passing...), nil
	p.SetRate(p.Rate)
}

// Stalled says whether nothing moves before somebody does something.
func (p *Progress) Stalled() bool { return p.Running && len(p.Stalls) > 0 }

// ReplicaBytes is the size of one replica of a partition, on average over the
// nodes that answer; 0 while none holds anything.
func (c *Client) ReplicaBytes(ctx context.Context, doc *ring.Document) int64 {
	var bytes, held uint64
	for _, m := range doc.Members {
		if !c.nodes.online(m.JID) {
			continue
		}
		// Who does not answer is left out of an average.
		if s, err := c.Status(ctx, m.JID); err == nil {
			bytes += s.StateUsed
			held += uint64(s.Held)
		}
	}
	if held == 0 {
		return 0
	}
	return int64(bytes / held)
}

// Progress looks at the running change. replica is the size of a replica as
// ReplicaBytes tells it. Errors: those of Ring and Leaders.
func (c *Client) Progress(ctx context.Context, replica int64) (*Progress, error) {
	doc, err := c.Ring(ctx)
	if err != nil {
		return nil, err
	}
	leaders, err := c.Leaders(ctx, doc)
	if err != nil {
		return nil, err
	}
	return progressOf(doc, c.Nodes(), leaders, replica, time.Now()), nil
}

func progressOf(doc *ring.Document, views []NodeView, leaders *Leaders, replica int64, now time.Time) *Progress {
	p := &Progress{Epoch: doc.Epoch, Nodes: []Share{}, Stalls: []string{}}
	ch := doc.Change
	if ch == nil {
		// No plan: nothing that a person could do about it.
		if pl, err := ring.MakePlan(doc, doc.Members, ring.PlanOptions{}); err == nil {
			p.Uneven = pl.Moves
		}
		return p
	}
	left := doc.Remaining()
	todo := 0
	for _, n := range left {
		todo += n
	}
	p.Running, p.ID, p.Paused, p.Canceled, p.RoundsLeft = true, ch.ID, ch.Paused, ch.Canceled, ch.Rounds
	p.Moves, p.Done, p.Throttle, p.BegunMS = ch.Moves, max(ch.Moves-todo, 0), ch.Rate, ch.Begun
	p.Bytes, p.BytesDone = uint64(int64(p.Moves)*replica), uint64(int64(p.Done)*replica)
	for _, m := range leaders.Moving { // of those that are not made yet
		if leaders.faults.uncounted {
			break
		}
		p.BytesDone += uint64(max(m.Copied, 0))
		if !leaders.faults.uncapped {
			p.BytesDone = min(p.BytesDone, p.Bytes)
		}
	}
	p.shares(doc, views, leaders, left)
	p.stalls(doc, views, leaders)
	if age := now.Sub(time.UnixMilli(ch.Begun)).Seconds(); age > 0 && ch.Begun > 0 {
		p.SetRate(float64(p.BytesDone) / age)
	}
	return p
}

// SetRate notes bytes a second, and works out the time left. Of a change that
// stands still it notes neither: what it had done before is no forecast.
func (p *Progress) SetRate(rate float64) {
	p.Rate, p.LeftS = 0, 0
	if p.Stalled() {
		return
	}
	p.Rate = rate
	if rate > 0 && p.Bytes > p.BytesDone {
		p.LeftS = float64(p.Bytes-p.BytesDone) / rate
	}
}

func (p *Progress) shares(doc *ring.Document, views []NodeView, leaders *Leaders, left map[uint64]int) {
	holds, gives := make(map[uint64]int), make(map[uint64]int)
	for q, row := range doc.Table {
		for _, id := range row {
			holds[id]++
			if !slices.Contains(doc.Change.Target[q], id) {
				gives[id]++
			}
		}
	}
	catches := make(map[uint64]int)
	for _, m := range leaders.Moving {
		for _, id := range m.Learners {
			catches[id]++
		}
	}
	for _, m := range doc.Members {
		node, _, _ := strings.Cut(m.JID, "@")
		p.Nodes = append(p.Nodes, Share{
			Node: node, JID: m.JID, Member: m.ID, State: string(m.State), Online: viewOf(views, doc, m) != nil,
			Holds: holds[m.ID], Gets: left[m.ID], GivesUp: gives[m.ID], Catches: catches[m.ID],
			Behind: leaders.Behind[m.JID].Entries,
		})
	}
}

// viewOf is the presence of a member that is online; nil for others, and for one
// whose JID is a successor's now.
func viewOf(views []NodeView, doc *ring.Document, m ring.Member) *NodeView {
	if holder, _ := doc.ByJID(m.JID); holder.ID != m.ID {
		return nil
	}
	for i := range views {
		if views[i].JID == m.JID && views[i].Online {
			return &views[i]
		}
	}
	return nil
}

// stalls says what a person should look at.
func (p *Progress) stalls(doc *ring.Document, views []NodeView, leaders *Leaders) {
	say := func(format string, args ...any) { p.Stalls = append(p.Stalls, fmt.Sprintf(format, args...)) }
	if doc.Change.Paused {
		say("paused; `ringctl resume` lets it go on")
		return
	}
	for i, s := range p.Nodes {
		m := doc.Members[i]
		v := viewOf(views, doc, m)
		switch {
		case v == nil && s.Gets > 0:
			say("%s is down, and %d replicas are to go there: start it, or `ringctl cancel`", s.Node, s.Gets)
		case v == nil:
		case v.Health.State == wire.StateFull && s.Gets > 0:
			say("%s has no room for the %d replicas that are to go there: free space on its disk", s.Node, s.Gets)
		case v.Health.State == wire.StateStranger && m.State == ring.Leaving && s.Holds == 0:
			// It has handed over all it had, and knows of a newer ring than ours.
		case v.Health.State == wire.StateStranger && m.State == ring.Joining:
			// It has not heard yet that the ring takes its new disk for a new member.
			p.Passing = append(p.Passing, fmt.Sprintf("%s is a stranger: %s", s.Node, v.Text))
		case v.Health.State == wire.StateStranger:
			say("%s is a stranger: %s", s.Node, v.Text)
		case slices.Contains(leaders.Silent, m.JID):
			say("%s is online and does not answer", s.Node)
		}
	}
	p.leaderless(doc, views, leaders)
	if len(p.Stalls) == 0 {
		p.waits(doc, leaders)
	}
}

// leaderless says why partitions have no leader.
func (p *Progress) leaderless(doc *ring.Document, views []NodeView, leaders *Leaders) {
	pass := func(n int, format string, nodes []string) {
		if n > 0 {
			p.Passing = append(p.Passing, partitions(n)+fmt.Sprintf(format, strings.Join(nodes, ", ")))
		}
	}
	dead, rest, nodes := lost(doc, views, doc.Table, leaders.Leaderless, nil)
	if dead > 0 {
		p.Stalls = append(p.Stalls, fmt.Sprintf("%s without a majority: start %s", partitions(dead), strings.Join(nodes, ", ")))
	}
	mute, rest, nodes := lost(doc, views, doc.Table, rest, leaders.Silent)
	pass(mute, " without a majority that answers: look after %s", nodes)
	// In its joint configuration a group needs a majority of its new replicas, too.
	torn, rest, nodes := lost(doc, views, doc.Change.Target, rest, leaders.Silent)
	pass(torn, " without a majority that answers among the replicas that they are to have: look after %s", nodes)
	if n := len(rest); n > 0 {
		p.Passing = append(p.Passing, partitions(n)+" without a leader: most of their nodes are there and are electing")
	}
}

// lost counts the groups without a leader that can't elect one, since too few of their members by a table are there,
// and names the members to start; rest are the other groups. Members that have left for a successor under their JID can't
// be started. Who is silent counts as away.
func lost(doc *ring.Document, views []NodeView, table [][]uint64, groups []uint32, silent []string) (count int, rest []uint32, names []string) {
	for _, g := range groups {
		there, away := len(table[g]), []string(nil)
		for _, id := range table[g] {
			m, _ := doc.Member(id)
			if viewOf(views, doc, m) != nil && !slices.Contains(silent, m.JID) {
				continue
			}
			there--
			if holder, _ := doc.ByJID(m.JID); holder.ID == m.ID {
				node, _, _ := strings.Cut(m.JID, "@")
				away = append(away, node)
			}
		}
		if 2*there > len(table[g]) {
			rest = append(rest, g)
			continue
		}
		count++
		names = append(names, away...)
	}
	slices.Sort(names)
	return count, rest, slices.Compact(names)
}

// waits tells of learners that get nowhere, in the engine's words.
func (p *Progress) waits(doc *ring.Document, leaders *Leaders) {
	count := make(map[string]int)
	for _, m := range leaders.Moving {
		if strings.Contains(m.Waits, "stands still") || strings.Contains(m.Waits, "disk is full") || strings.Contains(m.Waits, "outrun") || strings.Contains(m.Waits, "not up") {
			count[m.Waits]++
		}
	}
	var reasons []string
	for why := range count {
		reasons = append(reasons, why)
	}
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	for _, why := range reasons {
		text := partitions(count[why]) + ": " + withNames(doc, why)
		if strings.Contains(why, "not up") { // or not heard from yet
			p.Passing = append(p.Passing, text)
		} else {
			p.Stalls = append(p.Stalls, text)
		}
	}
}

// withNames puts the nodes' names in place of "member 4".
func withNames(doc *ring.Document, text string) string {
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i++ {
		id, err := strconv.ParseUint(words[i+1], 10, 64)
		if m, ok := doc.Member(id); err == nil && ok && words[i] == "member" {
			node, _, _ := strings.Cut(m.JID, "@")
			words = slices.Replace(words, i, i+2, node)
		}
	}
	return strings.Join(words, " ")
}

func partitions(n int) string {
	if n == 1 {
		return "1 partition"
	}
	return fmt.Sprintf("%d partitions", n)
}
