package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin"
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
   epoch      the ring it works with
   led, held  partitions that it leads, and of which it has a copy
   lag        log entries that it has not applied yet
   disk       used by the store, and free

A node that is down is listed as down. Exit code 0: all nodes are there and every
partition has a leader; 4: not so.

   ringctl status
   ringctl status --watch
   ringctl status -o json | jq '.nodes[] | select(.presence=="down") | .node'
` + connectionHelp,
		Flags: append(connectionFlags(), outputFlag(),
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "look again every second, until ctrl-C"}),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			o := statusOptions{watch: c.Bool("watch")}
			var err error
			if o.output, err = outputOf(c); err != nil {
				return err
			}
			if o.conn, err = connectionOf(c, env); err != nil {
				return err
			}
			return withOperator(c.Context, o.conn, func(ctx context.Context, op *admin.Client) error {
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
	Led        int       `json:"led"` // partitions with a leader, as far as nodes say
	Nodes      []nodeRow `json:"nodes"`
}

type nodeRow struct {
	Node     string `json:"node"` // bare name of the JID
	JID      string `json:"jid"`
	Member   uint64 `json:"member,omitempty"` // 0: not a member of the ring
	Presence string `json:"presence"`
	Status   string `json:"status,omitempty"` // the presence's text, for people
	State    string `json:"state"`            // ok, full, joining, stranger, stopping; "" when down
	Epoch    uint64 `json:"epoch"`
	Led      int    `json:"led"`
	Held     int    `json:"held"`
	Lag      uint64 `json:"lag"` // entries
	DiskUsed uint64 `json:"disk_used"`
	DiskFree uint64 `json:"disk_free"`
}

func status(ctx context.Context, env Env, op *admin.Client, o statusOptions) error {
	for {
		s, err := collect(ctx, op, o.conn.timeout)
		if err != nil {
			return err
		}
		if o.watch && env.Terminal && o.output == formatTable {
			fmt.Fprint(env.Stdout, "\x1b[H\x1b[2J") // home, clear
		}
		if err := s.print(env, o.output); err != nil {
			return err
		}
		if !o.watch {
			if !s.Healthy {
				return errDegraded
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // ctrl-C is how a watch ends
		case <-time.After(watchEvery):
		}
	}
}

// collect asks for the ring and puts beside it what the nodes' presence says.
func collect(ctx context.Context, op *admin.Client, timeout time.Duration) (*clusterStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	doc, err := op.Ring(ctx)
	switch {
	case errors.Is(err, admin.ErrNoNode), errors.Is(err, admin.ErrNoRing):
		doc = nil // the roster still tells which nodes there should be
	case err != nil:
		return nil, unreachable(fmt.Errorf("fetch the ring: %w", err))
	}
	return summarize(doc, op.Nodes()), nil
}

// summarize makes the rows: every member of the ring, there or not, and data
// nodes that are no members.
func summarize(doc *ring.Document, views []admin.NodeView) *clusterStatus {
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
	for _, m := range doc.Members {
		v, known := byJID[m.JID]
		if !known {
			v = admin.NodeView{JID: m.JID}
		}
		delete(byJID, m.JID)
		v.Member = m.ID
		s.add(v)
	}
	for _, v := range views {
		if _, left := byJID[v.JID]; left {
			v.Member = 0
			s.add(v)
		}
	}
	if s.Led < s.Partitions {
		s.Healthy = false
	}
	return s
}

func (s *clusterStatus) add(v admin.NodeView) {
	row := nodeRow{Node: nodeName(v.JID), JID: v.JID, Member: v.Member, Presence: "down"}
	if v.Online {
		h := v.Health
		row.Presence, row.Status, row.State = presenceOf(v), v.Text, h.State
		row.Epoch, row.Led, row.Held, row.Lag = h.Epoch, h.Led, h.Held, h.Lag
		row.DiskUsed, row.DiskFree = h.DiskUsed, h.DiskFree
		s.Led += h.Led
	}
	if !v.Online || row.State != "ok" {
		s.Healthy = false
	}
	s.Nodes = append(s.Nodes, row)
}

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
	t := newTable(env.Stdout, "node", "presence", "state", "epoch", "led", "held", "lag", "disk used", "disk free")
	for _, n := range s.Nodes {
		if n.Presence == "down" {
			t.AppendRow([]any{n.Node, n.Presence, "-", "-", "-", "-", "-", "-", "-"})
			continue
		}
		t.AppendRow([]any{n.Node, n.Presence, n.State, n.Epoch, n.Led, n.Held, n.Lag, bytesText(n.DiskUsed), bytesText(n.DiskFree)})
	}
	t.Render()
	word := "healthy"
	if !s.Healthy {
		word = "DEGRADED"
	}
	_, err := fmt.Fprintf(env.Stdout, "%s: ring epoch %d, %d of %d partitions have a leader\n", word, s.Epoch, s.Led, s.Partitions)
	return err
}
