package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/urfave/cli/v2"
)

// watchEvery is the pause between two looks of status --watch.
const watchEvery = time.Second

type statusOptions struct {
	conn   connection
	output format
	watch  bool
}

func statusCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "what every data node says about itself; dead ones are listed too",
		Description: `Lists every data node of the ring, with what it announces in its presence:

   presence   available, dnd (it refuses writes), away; down where it is not there
   state      ok, full, joining (it waits), stopping; stranger: its disk is not the member's; left
   member     its id in the ring, or no
   epoch      the ring it works with
   led, held  partitions that it leads, and of which it has a copy
   lag        log entries that it has not applied yet
   behind     log entries that its copies lack, as far as the leaders of their partitions know
   disk       used by the store, and free

A node that is down is listed as down. A change of the ring that is running is told of.
Data nodes that are no members of the ring are listed too, and count for nothing. Exit code 0: all nodes are there and every
partition has a leader; 4: not so.

   ringctl status
   ringctl status --watch
   ringctl status -o json | jq '.nodes[] | select(.presence=="down") | .node'
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			watchFlag("look again every second, until ctrl-C")),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			o := statusOptions{watch: c.Bool("watch")}
			return asOperator(c, env, func(ctx context.Context, op *admin.Client, conn connection, out format) error {
				o.conn, o.output = conn, out
				return status(ctx, env, op, o)
			})
		},
	}
}

// clusterStatus is the JSON of status; its fields are a contract with scripts.
type clusterStatus struct {
	Healthy    bool      `json:"healthy"`
	Epoch      uint64    `json:"epoch"` // of the ring; 0: the store was not made yet
	Partitions int       `json:"partitions"`
	Led        int       `json:"led"` // partitions with a leader, each counted once
	Nodes      []nodeRow `json:"nodes"`
	// Change is the running change of the ring; absent when there is none.
	Change *changeRow `json:"change,omitempty"`
	// Ahead is how far log time is ahead of the nodes' clocks, in seconds; absent below aheadLeast.
	Ahead int64 `json:"log_time_ahead_s,omitempty"`

	reasons []string // why it is not healthy, for people
}

// aheadLeast is more than clients with wrong clocks can bring about.
const aheadLeast = 10 * time.Second

type changeRow struct {
	ID       string `json:"id"`
	Moves    int    `json:"moves"` // replicas that it makes
	Done     int    `json:"done"`
	Paused   bool   `json:"paused,omitempty"`
	Canceled bool   `json:"canceled,omitempty"`
}

type nodeRow struct {
	Node     string `json:"node"` // bare name of the JID
	JID      string `json:"jid"`
	Member   uint64 `json:"member,omitempty"` // 0: not a member of the ring
	Presence string `json:"presence"`
	Status   string `json:"status,omitempty"` // the presence's text, for people
	State    string `json:"state"`            // ok, full, joining, stranger, left, stopping; "" when down
	Epoch    uint64 `json:"epoch"`
	Led      int    `json:"led"`
	Held     int    `json:"held"`    // complete copies
	Lag      uint64 `json:"lag"`     // entries
	Behind   uint64 `json:"behind"`  // entries that its replicas lack
	Lagging  int    `json:"lagging"` // replicas that lack some
	DiskUsed uint64 `json:"disk_used"`
	DiskFree uint64 `json:"disk_free"`
}

func status(ctx context.Context, env Env, op *admin.Client, o statusOptions) error {
	if !o.watch {
		s, _, err := collect(ctx, op, o.conn, nil)
		if err != nil {
			return err
		}
		if err := s.print(env, o.output); err != nil {
			return err
		}
		if !s.Healthy {
			return errDegraded
		}
		return nil
	}
	var doc *ring.Document
	for {
		s, newer, err := collect(ctx, op, o.conn, doc)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && doc == nil && op.Down() == nil: // wrong from the start
			return err
		}
		if env.Terminal && o.output == formatTable {
			fmt.Fprint(env.Stdout, "\x1b[H\x1b[2J") // home, clear
		}
		if err != nil { // the client goes on trying to log in, and so does the watch
			fmt.Fprintf(env.Stderr, "%s; trying again\n", err)
		} else if err := s.print(env, o.output); err != nil {
			return err
		}
		doc = newer
		select {
		case <-ctx.Done():
			return nil // ctrl-C is how a watch ends
		case <-time.After(watchEvery):
		}
	}
}

// collect asks for the ring and for the leaders, and puts beside them what the
// nodes' presence says. known is the ring of the last look, for when no node can
// be asked; the newer one is returned.
func collect(ctx context.Context, op *admin.Client, conn connection, known *ring.Document) (*clusterStatus, *ring.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	doc, err := op.Ring(ctx)
	if down := op.Down(); down != nil {
		return nil, known, notReached(conn, down)
	}
	var leaders *admin.Leaders
	switch {
	case errors.Is(err, admin.ErrNoNode), errors.Is(err, admin.ErrNoRing):
		doc = known // the roster still tells which nodes there should be
	case err == nil:
		if leaders, err = op.Leaders(ctx, doc); err != nil {
			return nil, known, unreachable(fmt.Errorf("%s: %w", conn.xmpp.JID, err))
		}
	default:
		return nil, known, unreachable(fmt.Errorf("fetch the ring: %w", err))
	}
	views := op.Nodes()
	if doc == nil && len(views) == 0 {
		return nil, known, seesNothing(op, conn, err)
	}
	return summarize(doc, views, leaders), doc, nil
}

// seesNothing tells an account without data nodes in its roster from a cluster
// whose nodes are down: those are in an operator's roster all the same.
func seesNothing(op *admin.Client, conn connection, err error) error {
	if !errors.Is(err, admin.ErrNoNode) || len(op.Nodes()) > 0 {
		return err
	}
	return unreachable(fmt.Errorf("%s is not an operator, or there are no data nodes: it sees none; log in as an operator, or start data nodes", conn.xmpp.JID))
}

// summarize makes the rows: every member of the ring, there or not, and data
// nodes that are no members.
func summarize(doc *ring.Document, views []admin.NodeView, leaders *admin.Leaders) *clusterStatus {
	if leaders == nil {
		leaders = &admin.Leaders{}
	}
	s := &clusterStatus{Healthy: true, Nodes: []nodeRow{}}
	if doc == nil {
		s.Healthy = false
		doc = &ring.Document{}
	}
	s.Epoch, s.Partitions = doc.Epoch, doc.Partitions
	byJID := make(map[string]admin.NodeView, len(views))
	for _, v := range views {
		byJID[v.JID] = v
	}
	holds := make(map[uint64]int) // a copy that is still being made is not in the table
	for _, row := range doc.Table {
		for _, id := range row {
			holds[id]++
		}
	}
	for _, m := range doc.Members {
		v, known := byJID[m.JID]
		if store := v.Health.Store; store != "" && m.Store != "" && store != m.Store {
			v.Health.State = wire.StateStranger // whether it has found out itself or not
		}
		// Of two members with one JID it is the successor of a lost disk that is there.
		if holder, _ := doc.ByJID(m.JID); !known || holder.ID != m.ID {
			v = admin.NodeView{JID: m.JID}
		} else {
			delete(byJID, m.JID)
		}
		v.Member = m.ID
		s.add(v, leaders, holds[m.ID])
	}
	for _, v := range views {
		if _, left := byJID[v.JID]; left {
			v.Member = 0
			s.add(v, leaders, 0) // what may still be on its disk is no copy of anything
		}
	}
	if c := doc.Change; c != nil {
		todo := 0
		for _, n := range doc.Remaining() {
			todo += n
		}
		s.Change = &changeRow{ID: c.ID, Moves: c.Moves, Done: max(c.Moves-todo, 0), Paused: c.Paused, Canceled: c.Canceled}
	}
	if leaders.Ahead >= aheadLeast {
		s.Ahead = int64(leaders.Ahead / time.Second)
	}
	s.Led = leaders.Led
	if s.Led < s.Partitions {
		s.Healthy = false
	}
	return s
}

// catchingUp is the number of entries that a node may lack and pass for level: followers under load
// lack up to a few hundred, and so many are had within a second.
const catchingUp = 4096

// add makes the row of a node, which by the table has so many copies.
func (s *clusterStatus) add(v admin.NodeView, leaders *admin.Leaders, held int) {
	behind := leaders.Behind[v.JID]
	row := nodeRow{Node: nodeName(v.JID), JID: v.JID, Member: v.Member, Presence: "down", Behind: behind.Entries, Lagging: behind.Groups}
	if v.Online {
		h := v.Health
		row.Presence, row.Status, row.State = presenceOf(v), v.Text, h.State
		// One that was started again with an older ring in which it is a member does not know yet.
		if v.Member == 0 && (row.State == wire.StateStranger || row.State == wire.StateOK && h.Epoch < s.Epoch) {
			row.State = stateLeft
			if row.Presence == presenceOf(admin.NodeView{}) {
				row.Presence = "xa"
			}
		}
		row.Epoch, row.Led, row.Held, row.Lag = h.Epoch, leaders.ByNode[v.JID], min(h.Held, held), h.Lag
		row.DiskUsed, row.DiskFree = h.DiskUsed, h.DiskFree
	}
	switch {
	case v.Member == 0 && s.Epoch > 0: // it waits to join, or has left
	case !v.Online:
		s.reasons = append(s.reasons, row.Node+" is down")
	case row.State == wire.StateStranger:
		s.reasons = append(s.reasons, fmt.Sprintf("%s is stranger: `ringctl replace %[1]s %[1]s`, or put its old disk back", row.Node))
	case row.State == wire.StateMixed:
		s.reasons = append(s.reasons, row.Node+" cannot read what other data nodes send: run one version on all")
	case row.State != "ok":
		s.reasons = append(s.reasons, row.Node+" is "+row.State)
	case slices.Contains(leaders.Silent, v.JID):
		s.reasons = append(s.reasons, row.Node+" does not answer")
	case row.Behind > catchingUp:
		s.reasons = append(s.reasons, fmt.Sprintf("%s catches up: its replicas lack %d entries", row.Node, row.Behind))
	}
	s.Healthy = s.Healthy && len(s.reasons) == 0
	s.Nodes = append(s.Nodes, row)
}

// stateLeft is the state of a stranger whose place nobody keeps: it has left, or its
// join was called off. A stranger under the JID of a member is a lost disk.
const stateLeft = "left"

// presenceOf is the word for a node's availability (RFC 6121 section 4.7.2.1).
func presenceOf(v admin.NodeView) string {
	if v.Show == "" {
		return "available"
	}
	return v.Show
}

func (s *clusterStatus) print(env Env, out format) error {
	if out == formatJSON {
		return writeJSON(env.Stdout, s)
	}
	t := newTable(env.Stdout, "node", "presence", "state", "member", "epoch", "led", "held", "lag", "behind", "disk used", "disk free")
	for _, n := range s.Nodes {
		member := "no"
		if n.Member != 0 {
			member = strconv.FormatUint(n.Member, 10)
		}
		if n.Presence == "down" {
			t.AppendRow([]any{n.Node, n.Presence, "-", member, "-", "-", "-", "-", n.Behind, "-", "-"})
			continue
		}
		t.AppendRow([]any{n.Node, n.Presence, n.State, member, n.Epoch, n.Led, n.Held, n.Lag, n.Behind, bytesText(n.DiskUsed), bytesText(n.DiskFree)})
	}
	// Where a node is down its cells are "-": they must not turn the column.
	rightAlign(t, 4, 5, 6, 7, 8, 9, 10, 11)
	t.Render()
	if c := s.Change; c != nil {
		state := "is running"
		switch {
		case c.Paused:
			state = "is paused"
		case c.Canceled:
			state = "is being called off"
		}
		fmt.Fprintf(env.Stdout, "change %s %s: %d of %d replicas; see `ringctl progress`\n", c.ID, state, c.Done, c.Moves)
	}
	if s.Ahead > 0 {
		fmt.Fprintf(env.Stdout, "log time is %v ahead of the data nodes' clocks: a clock is wrong, or was; what expires does so early, or late\n", time.Duration(s.Ahead)*time.Second)
	}
	_, err := fmt.Fprintln(env.Stdout, s.verdict())
	return err
}

// wayToRing is what to do where no data node tells a ring. A node that is down may
// have it on its disk: to bootstrap others then would make a second store.
func (s *clusterStatus) wayToRing() string {
	for _, n := range s.Nodes {
		if n.Presence == "down" {
			return "start the data nodes that are down: the ring is on their disks"
		}
	}
	return "a new store is made by `ringctl bootstrap`"
}

// verdict is the last line of the table: how the cluster is, and why.
func (s *clusterStatus) verdict() string {
	if s.Epoch == 0 {
		return "DEGRADED: no ring is known: " + strings.Join(append(s.reasons, s.wayToRing()), "; ")
	}
	ring := fmt.Sprintf("ring epoch %d, %d of %d partitions have a leader", s.Epoch, s.Led, s.Partitions)
	if s.Healthy {
		return "healthy: " + ring
	}
	return "DEGRADED: " + strings.Join(append(s.reasons, ring), "; ")
}
