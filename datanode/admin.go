package datanode

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// iq takes reads, the ring, and administration; false when it is none of them.
func (h *handler) iq(conn *xmppconn.Conn, st *stanza.Stanza) bool {
	if !st.IsType("get") && !st.IsType("set") {
		return false
	}
	el := st.Get(st.Child)
	p := stanza.Parse(el)
	if p.Next() != stanza.Start {
		return false
	}
	ns, name := string(p.NS()), string(p.Name())
	switch {
	case ns == wire.NS && name == "ops" && st.IsType("get"):
		h.readIQ(conn, st, el)
	case ns == wire.NS && name == "terms" && st.IsType("get"):
		h.termsIQ(conn, st, el)
	case ns == wire.NS && name == "ring" && st.IsType("get"):
		h.ringIQ(conn, st, el)
	case ns == adminxml.NS:
		h.adminIQ(conn, st, el)
	default:
		return false
	}
	return true
}

// readIQ takes the reads of an IQ, large ones beside the read loop while there is much to do.
func (h *handler) readIQ(conn *xmppconn.Conn, st *stanza.Stanza, el []byte) {
	c := h.sender(st)
	if c == nil || h.tooMuch(conn, c, st) {
		return
	}
	if len(st.Raw) >= asideFrom && (c.aside.Load() > 0 || !h.n.fair.open()) {
		c.aside.Add(1)
		h.inParts = append(h.inParts, partStanza{conn: conn, st: h.cloned(st), client: c})
		return
	}
	if req, ok := h.parseReads(conn, st, el); ok {
		h.reads(c, st.AttrString(st.ID), req)
	}
}

// parseReads reads the <ops/> of an IQ; not ok: it is refused.
func (h *handler) parseReads(conn *xmppconn.Conn, st *stanza.Stanza, el []byte) (req *wire.Request, ok bool) {
	req, err := wire.ParseRequest(el)
	switch {
	case err != nil:
		h.refuse(conn, st, "bad-request", err.Error())
	case len(req.Opens)+len(req.Writes)+len(req.Settles) > 0:
		h.refuse(conn, st, "bad-request", textIQ)
	case len(req.Reads) > maxReadsPerIQ:
		h.refuse(conn, st, "policy-violation", fmt.Sprintf("%d reads in one IQ; the limit is %d", len(req.Reads), maxReadsPerIQ))
	default:
		return req, true
	}
	return nil, false
}

// ringIQ gives the ring document to whoever has to do with the store.
func (h *handler) ringIQ(conn *xmppconn.Conn, st *stanza.Stanza, el []byte) {
	c := h.sender(st)
	if c == nil {
		return
	}
	v := h.n.view.Load()
	left := false
	if v != nil {
		_, left = v.left[wire.NodeJID(c.jid)]
	}
	if v != nil && !c.app && !c.operator && !left && h.rights(c).none() && h.peerOf(st) == nil {
		h.refuse(conn, st, "forbidden", textDenied)
		return
	}
	epoch, _, err := wire.ParseRing(el)
	if err != nil {
		h.refuse(conn, st, "bad-request", err.Error())
		return
	}
	if v == nil {
		h.refuse(conn, st, "item-not-found", textJoining)
		return
	}
	payload := v.ring
	if epoch == v.doc.Epoch {
		payload = wire.AppendRing(nil, epoch, nil)
	}
	_ = conn.Send(stanza.AppendIQResult(nil, st, payload)) // lost with the stream: asked again
}

// adminIQ takes the commands of operators.
func (h *handler) adminIQ(conn *xmppconn.Conn, st *stanza.Stanza, el []byte) {
	c := h.sender(st)
	if c == nil {
		return
	}
	if !c.operator {
		h.refuse(conn, st, "forbidden", "administration is for operators; the data node names them with --operator")
		return
	}
	command, arg, err := adminxml.Parse(el)
	if err != nil {
		h.refuse(conn, st, "bad-request", err.Error())
		return
	}
	set := st.IsType("set")
	if command != adminxml.CmdScrub && set != (command == adminxml.CmdBootstrap || command == adminxml.CmdPropose) {
		h.refuse(conn, st, "bad-request", "bootstrap and propose are IQs of type set, scrub is set or get, everything else a get")
		return
	}
	switch command {
	case adminxml.CmdIdentity, adminxml.CmdBootstrap, adminxml.CmdStatus, adminxml.CmdPropose:
	case adminxml.CmdScrub:
		if groups, err := scrubGroups(arg); err != nil || set && len(groups) == 0 {
			h.refuse(conn, st, "bad-request", fmt.Sprintf("scrub takes numbers of partitions, at most %d", adminxml.MaxScrub))
			return
		}
	case adminxml.CmdExport:
	case adminxml.CmdHot:
		if n, err := strconv.Atoi(arg); err != nil || n < 1 || n > hotKeys {
			h.refuse(conn, st, "bad-request", fmt.Sprintf("hot takes how many objects to list, 1 to %d", hotKeys))
			return
		}
	case adminxml.CmdWhere:
		if err := op.CheckRoot(arg); err != nil {
			h.refuse(conn, st, "bad-request", err.Error())
			return
		}
	default:
		h.refuse(conn, st, "feature-not-implemented", "unknown command "+strconv.Quote(command))
		return
	}
	if command == adminxml.CmdExport {
		h.exportIQ(conn, st, arg)
		return
	}
	// st is gone when the control goroutine gets to it.
	question := *st
	question.Raw = bytes.Clone(st.Raw)
	h.n.log.Debug("administration", "command", command, "by", c.bare)
	if !h.n.later(func(ctx context.Context) { h.n.command(ctx, conn, &question, command, arg) }) {
		h.refuse(conn, st, "resource-constraint", "busy; ask again")
	}
}

// exportIQ hands a question about an export to the goroutine that reads them.
func (h *handler) exportIQ(conn *xmppconn.Conn, st *stanza.Stanza, arg string) {
	question := *st
	question.Raw = bytes.Clone(st.Raw)
	taken := h.n.exports.ask(arg, func(a adminxml.ExportAnswer, err error) {
		if err != nil {
			// Lost with the stream, like the answer: asked again.
			_ = conn.Send(stanza.AppendError(nil, &question, "", "cancel", "conflict", err.Error()))
			return
		}
		h.n.answerAdmin(conn, &question, adminxml.CmdExport, a)
	})
	if !taken {
		h.refuse(conn, st, "resource-constraint", "busy; ask again")
	}
}

// command runs on the control goroutine.
func (n *Node) command(ctx context.Context, conn *xmppconn.Conn, st *stanza.Stanza, command, arg string) {
	var answer any
	switch command {
	case adminxml.CmdIdentity:
		answer = n.identity()
	case adminxml.CmdStatus:
		answer = n.status(arg)
	case adminxml.CmdScrub:
		answer = n.scrub(st.IsType("set"), arg)
	case adminxml.CmdHot:
		limit, _ := strconv.Atoi(arg) // checked when it came
		answer = n.hot.list(limit, time.Now())
	case adminxml.CmdWhere:
		w := n.where(arg)
		if w == nil {
			_ = conn.Send(stanza.AppendError(nil, st, "", "cancel", "item-not-found", textJoining))
			return
		}
		answer = w
	case adminxml.CmdBootstrap:
		if err := n.bootstrap(arg); err != nil {
			n.log.Warn("bootstrap refused", "err", err)
			_ = conn.Send(stanza.AppendError(nil, st, "", "cancel", "conflict", err.Error()))
			return
		}
		answer = n.identity()
	case adminxml.CmdPropose:
		n.propose(ctx, arg, func(p adminxml.Proposed) { n.answerAdmin(conn, st, command, p) })
		return
	}
	n.answerAdmin(conn, st, command, answer)
}

func (n *Node) answerAdmin(conn *xmppconn.Conn, st *stanza.Stanza, command string, answer any) {
	b, err := json.Marshal(answer)
	if err != nil {
		n.log.Error("answer not encodable", "command", command, "err", err)
		return
	}
	// Lost with the stream: the operator asks again.
	_ = conn.Send(stanza.AppendIQResult(nil, st, adminxml.Append(nil, command, string(b))))
}

// bootstrap takes over a first ring document from an operator, the only one that
// does not come through the meta group. The same one again is no error.
func (n *Node) bootstrap(text string) error {
	doc, err := ring.Decode([]byte(text))
	if err != nil {
		return err
	}
	v := n.view.Load()
	switch {
	case v != nil && doc.Cluster != v.doc.Cluster:
		return fmt.Errorf("%w: this node belongs to cluster %s", replication.ErrForeignCluster, v.doc.Cluster)
	case v != nil && doc.Epoch > v.doc.Epoch:
		return fmt.Errorf("this node has the ring of epoch %d and gets newer ones from its members, not by bootstrap", v.doc.Epoch)
	case v != nil:
		return nil
	case doc.Epoch != 1:
		return errors.New("this data node is in no ring and the document is not a first one; a node joins a running cluster, it is not bootstrapped into it")
	}
	return n.adopt(doc)
}

func (n *Node) identity() adminxml.Identity {
	id := adminxml.Identity{
		JID: n.full, Store: n.store, Format: ring.FormatVersion,
		Zone: n.cfg.Zone, State: n.state(), Version: n.cfg.Version,
	}
	if v := n.view.Load(); v != nil {
		id.Cluster, id.Member, id.Epoch = v.doc.Cluster, v.self, v.doc.Epoch
	}
	return id
}

func (n *Node) status(detail string) adminxml.NodeStatus {
	s, h := n.engine.Status(), n.health()
	out := adminxml.NodeStatus{
		Identity: n.identity(),
		Held:     h.Held, Led: h.Led, Leaderless: s.Leaderless, Awake: s.Awake, Lag: s.Lag,
		Full: n.disk.full(), DiskUsed: s.DiskUsed, StateUsed: s.StateUsed, DiskFree: n.disk.free.Load(), Reserve: n.disk.reserve.Load(),
		Clients: int(n.clients.Load()), InFlight: n.inFlight.Load(), Operations: n.operations.Load(),
		Load: n.announcer.load(), UptimeMS: time.Since(n.started).Milliseconds(), Time: n.logTime(), Clock: time.Now().UnixMilli(),
	}
	switch detail {
	case adminxml.WithLeaders:
		out.Leaders, out.Behind, out.Moving = leadership(n.engine.Groups())
		return out
	case adminxml.WithIndexes:
		out.Indexes = n.engine.ReadyIndexes()
		return out
	case adminxml.WithGroups:
	default:
		return out
	}
	for _, g := range n.engine.Groups() {
		out.Groups = append(out.Groups, adminxml.Group{
			Group: g.Group, Leader: g.Leader, Term: g.Term, Commit: g.Commit, Applied: g.Applied, Last: g.Last,
			Asleep: g.Asleep, Replicas: g.Replicas, Voters: g.Voters, Learners: g.Learners, Match: g.Match,
		})
	}
	return out
}

// leadership sums up what this node knows of its groups, and of their other
// replicas where it leads.
func leadership(groups []replication.GroupStatus) (leaders [][3]uint64, behind []adminxml.Behind, moving []adminxml.Moving) {
	lack := make(map[uint64]*adminxml.Behind)
	for _, g := range groups {
		leaders = append(leaders, [3]uint64{uint64(g.Group), g.Leader, g.Term})
		if g.Match == nil {
			continue // led elsewhere
		}
		for member, match := range g.Match {
			if match >= g.Last {
				continue
			}
			if lack[member] == nil {
				lack[member] = &adminxml.Behind{Member: member}
			}
			lack[member].Groups++
			lack[member].Entries += g.Last - match
		}
		if len(moving) < adminxml.MaxMoving && (g.Waits != "" || g.Joint || len(g.Learners) > 0) {
			moving = append(moving, adminxml.Moving{Group: g.Group, Waits: g.Waits, Learners: g.Learners, Joint: g.Joint, Copied: g.Copied})
		}
	}
	for _, b := range lack {
		behind = append(behind, *b)
	}
	slices.SortFunc(behind, func(a, b adminxml.Behind) int { return cmp.Compare(a.Member, b.Member) })
	return leaders, behind, moving
}

// where tells where a root lives; nil without a ring.
func (n *Node) where(root string) *adminxml.Where {
	v := n.view.Load()
	if v == nil {
		return nil
	}
	p := v.doc.Partition(root)
	w := &adminxml.Where{Partition: p, Epoch: v.doc.Epoch}
	for _, m := range v.doc.ReplicasOf(p) {
		w.Replicas = append(w.Replicas, m.JID)
	}
	if id, ok := n.engine.LeaderOf(p); ok {
		m, _ := v.doc.Member(id)
		w.Leader = m.JID
	}
	return w
}
