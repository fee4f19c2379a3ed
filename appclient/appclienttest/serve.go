package appclienttest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
	"github.com/rosterdb/rosterdb/ring"
)

// stanza is server and nodes at once: it handles what a client sends.
func (c *Cluster) stanza(s *xmppconntest.Session, st *stanza.Stanza) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := st.AttrString(st.To)
	switch {
	case st.Kind == stanza.Presence:
		for _, n := range c.nodes {
			if n.online {
				s.Send(c.presence(n, s.JID))
			}
		}
	case st.Kind == stanza.IQ && to == "":
		c.serverIQ(s, st)
	case st.Kind == stanza.IQ || st.Kind == stanza.Message:
		if n := c.byJID(to); n != nil && n.online {
			c.request(s, st, n)
		} else {
			s.Send(c.bounce(st, "service-unavailable"))
		}
	}
}

func (c *Cluster) byJID(jid string) *fakeNode {
	for _, n := range c.nodes {
		if n.jid == jid {
			return n
		}
	}
	return nil
}

func (c *Cluster) bounce(st *stanza.Stanza, condition string) []byte {
	return stanza.AppendError(nil, st, "", "cancel", condition, "")
}

// bounceBy is bounce as a fault has it.
func bounceBy(st *stanza.Stanza, f Fault) []byte {
	typ, app := "cancel", ""
	if f.Bounce == "resource-constraint" {
		typ = "wait"
	}
	if f.RetryAfter > 0 {
		app = wire.RetryElement(f.RetryAfter.Milliseconds())
	}
	return stanza.AppendErrorApp(nil, st, "", typ, f.Bounce, "", app)
}

// serverIQ answers what a client asks of its server: roster and ping.
func (c *Cluster) serverIQ(s *xmppconntest.Session, st *stanza.Stanza) {
	if string(st.Get(st.ChildNS)) != "jabber:iq:roster" {
		s.Send(stanza.AppendIQResult(nil, st, nil))
		return
	}
	q := []byte("<query xmlns='jabber:iq:roster'>")
	for _, n := range c.nodes {
		j, err := stanza.ParseJID(n.jid)
		if err != nil {
			continue
		}
		q = stanza.AppendAttr(append(q, "<item"...), "jid", j.Bare().String())
		q = append(q, " subscription='both'><group>Data nodes</group></item>"...)
	}
	s.Send(stanza.AppendIQResult(nil, st, append(q, "</query>"...)))
}

// request handles a stanza for a data node.
func (c *Cluster) request(s *xmppconntest.Session, st *stanza.Stanza, n *fakeNode) {
	ops := st.Get(st.Child)
	switch string(st.Get(st.ChildName)) {
	case "ring":
		condition := ""
		if c.opt.RingFault != nil {
			condition = c.opt.RingFault(n.jid)
		}
		if condition != "" {
			s.Send(c.bounce(st, condition))
		} else {
			s.Send(c.ringAnswer(st))
		}
		return
	case "part":
		el, done, err := c.clients[s].Add(s.JID, ops)
		if err != nil {
			s.Send(c.bounce(st, "bad-request"))
			return
		}
		if !done {
			return
		}
		ops = el
	}
	req, err := wire.ParseRequest(ops)
	if err != nil {
		s.Send(c.bounce(st, "bad-request"))
		return
	}
	var f Fault
	if c.opt.Fault != nil {
		f = c.opt.Fault(Stanza{Node: n.jid, Opens: len(req.Opens), Writes: len(req.Writes), Settles: len(req.Settles), Reads: reads(req), Changes: len(req.Reads) - reads(req), Cancels: len(req.Cancels)})
	}
	c.deal(s, st, n, req, f)
	if f.Then != nil {
		c.wg.Go(f.Then)
	}
}

// deal handles a request as well as the fault lets it.
func (c *Cluster) deal(s *xmppconntest.Session, st *stanza.Stanza, n *fakeNode, req *wire.Request, f Fault) {
	switch {
	case f.DropRequest:
		return
	case f.Bounce != "":
		s.Send(bounceBy(st, f))
		return
	}
	for _, tag := range req.Cancels {
		at := waiting{s, n, tag}
		if off := c.waiting[at]; off != nil {
			close(off)
			delete(c.waiting, at)
		}
	}
	if len(req.Opens)+len(req.Writes)+len(req.Settles)+len(req.Reads) == 0 {
		return
	}
	c.state.room = c.opt.MaxStanza / 2
	if st.Kind == stanza.Message {
		c.state.room = maxPage
	}
	results := c.handle(n, req, f)
	c.park(s, n, req, results)
	answer := c.answer(st, n, results, s.JID, f)
	if f.DropAnswer {
		return
	}
	if f.ForeignFirst {
		s.Send(c.forged(st, req, s.JID))
	}
	send := func() {
		s.Send(answer)
		if f.DupAnswer {
			s.Send(answer)
		}
	}
	if f.Delay == 0 || c.closed {
		send()
		return
	}
	c.wg.Go(func() {
		time.Sleep(f.Delay) // the fault itself
		send()
	})
}

// maxPage is the room for values in an answer by message, bytes.
const maxPage = wire.MaxResponse

// answer wraps results as the stanza that the node sends back.
func (c *Cluster) answer(st *stanza.Stanza, n *fakeNode, r *wire.Response, to string, f Fault) []byte {
	payload := wire.AppendResponse(nil, r)
	if st.Kind == stanza.IQ {
		return stanza.AppendIQResult(nil, st, payload)
	}
	id := st.AttrString(st.ID)
	if len(payload) > c.opt.MaxStanza {
		c.parts++
		var b []byte
		parts := wire.Split(payload, c.opt.MaxStanza, "a"+strconv.Itoa(c.parts))
		for i, part := range parts {
			var last []string
			if i == len(parts)-1 {
				last = []string{id}
			}
			b = append(b, stamp(wire.AppendAnswer(nil, to, last, part), n.jid)...)
		}
		return b
	}
	if f.LateReceipt {
		b := stamp(wire.AppendAnswer(nil, to, nil, payload), n.jid)
		return append(b, stamp(wire.AppendAnswer(nil, to, []string{id}, nil), n.jid)...)
	}
	return stamp(wire.AppendAnswer(nil, to, []string{id}, payload), n.jid)
}

// stamp adds the sender as a server does.
func stamp(message []byte, from string) []byte {
	return append(stanza.AppendAttr([]byte("<message"), "from", from), bytes.TrimPrefix(message, []byte("<message"))...)
}

// forged is an answer from somebody who was not asked: all is well, it says.
func (c *Cluster) forged(st *stanza.Stanza, req *wire.Request, to string) []byte {
	r := &wire.Response{Epoch: c.doc.Epoch}
	for i := range req.Opens {
		r.Writes = append(r.Writes, wire.WriteReply{Tag: req.Opens[i].Tag, WriteResult: op.WriteResult{Code: op.OK, Session: 666}})
	}
	for i := range req.Writes {
		r.Writes = append(r.Writes, wire.WriteReply{Tag: req.Writes[i].Tag, WriteResult: op.WriteResult{Code: op.OK, Items: make([]op.Item, len(req.Writes[i].Mutations))}})
	}
	for i := range req.Reads {
		r.Reads = append(r.Reads, wire.ReadReply{Tag: req.Reads[i].Tag, ReadResult: op.ReadResult{Code: op.OK, Objects: []op.Object{{Path: req.Reads[i].Path, Version: 666}}}})
	}
	return stamp(wire.AppendAnswer(nil, to, []string{st.AttrString(st.ID)}, wire.AppendResponse(nil, r)), "eve@localhost/store")
}

func (c *Cluster) handle(n *fakeNode, req *wire.Request, f Fault) *wire.Response {
	r := &wire.Response{Epoch: c.doc.Epoch, Time: c.state.now()}
	wrote := func(tag uint64, partition uint32, bad string, do func() op.WriteResult) {
		var res op.WriteResult
		code, leader := c.route(n, partition, f)
		switch {
		case bad != "":
			res = op.WriteResult{Code: op.Invalid, Text: bad}
		case f.Refuse != 0:
			res = op.WriteResult{Code: f.Refuse, RetryAfter: f.RetryAfter.Milliseconds()}
		case code != op.OK:
			res = op.WriteResult{Code: code, Leader: leader}
		default:
			if res = do(); f.ApplyAndSay != 0 {
				res = op.WriteResult{Code: f.ApplyAndSay}
			}
		}
		r.Writes = append(r.Writes, wire.WriteReply{Tag: tag, WriteResult: res})
	}
	for i := range req.Opens {
		o := &req.Opens[i]
		wrote(o.Tag, o.Partition, o.Bad, func() op.WriteResult { return c.state.open(o.Partition) })
	}
	for i := range req.Writes {
		w := &req.Writes[i]
		wrote(w.Tag, w.Partition, w.Bad, func() op.WriteResult { return c.state.write(w.Partition, &w.Write) })
	}
	for i := range req.Settles {
		q := &req.Settles[i]
		wrote(q.Tag, q.Partition, q.Bad, func() op.WriteResult { return c.state.settle(q.Partition, &q.Settle) })
	}
	for i := range req.Reads {
		q := &req.Reads[i]
		res := op.ReadResult{Code: f.Refuse, RetryAfter: f.RetryAfter.Milliseconds()}
		switch {
		case q.Bad != "":
			res = op.ReadResult{Code: op.Invalid, Text: q.Bad}
		case f.Refuse == 0:
			res.Code, res.Leader = c.route(n, q.Partition, f)
			if res.Code == op.Redirect && (q.Stale || q.Kind == op.Changes) && c.holds(n, q.Partition) {
				res.Code = op.OK
			}
			if res.Code == op.OK {
				res = c.state.read(q.Partition, &q.Read)
				expiring(&res, f.Expiring)
			}
		}
		r.Reads = append(r.Reads, wire.ReadReply{Tag: q.Tag, ReadResult: res})
	}
	return r
}

// expiring takes an object out of an answer that is not removed yet.
func expiring(res *op.ReadResult, path string) {
	if path == "" {
		return
	}
	res.Expiring = true
	before := len(res.Objects)
	res.Objects = slices.DeleteFunc(res.Objects, func(o op.Object) bool { return o.Path == path })
	if len(res.Objects) == 0 && before == 1 {
		res.Code = op.NotFound
	}
}

// reads counts those that are answered at once.
func reads(req *wire.Request) (n int) {
	for i := range req.Reads {
		if req.Reads[i].Kind != op.Changes {
			n++
		}
	}
	return n
}

// holds says whether n is a replica of the partition.
func (c *Cluster) holds(n *fakeNode, partition uint32) bool {
	for _, id := range c.doc.Table[partition] {
		if c.nodes[id-1] == n {
			return true
		}
	}
	return false
}

// park takes those reads out of an answer that are to wait for events.
func (c *Cluster) park(s *xmppconntest.Session, n *fakeNode, req *wire.Request, r *wire.Response) {
	kept := r.Reads[:0]
	for i, reply := range r.Reads {
		q := &req.Reads[i]
		if q.Kind != op.Changes || q.Wait == 0 || reply.Code != op.OK || len(reply.Events) > 0 || c.closed {
			kept = append(kept, reply)
			continue
		}
		at, off := waiting{s, n, q.Tag}, make(chan struct{})
		c.waiting[at] = off
		c.wg.Go(func() { c.wait(at, q, off) })
	}
	r.Reads = kept
}

// wait answers a read for changes when there is something, or its time is over.
// A node that has gone answers nobody, and one that lost the partition says so.
func (c *Cluster) wait(at waiting, q *wire.Read, off chan struct{}) {
	s, n := at.s, at.n
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting[at] == off {
			delete(c.waiting, at)
		}
	}()
	over := time.NewTimer(time.Duration(q.Wait) * time.Millisecond)
	defer over.Stop()
	for late := false; ; {
		c.mu.Lock()
		if !n.online || c.clients[s] == nil {
			c.mu.Unlock()
			return
		}
		res := op.ReadResult{Code: op.Redirect}
		if c.holds(n, q.Partition) {
			c.state.room = c.opt.MaxStanza / 2 // so that it needs no parts
			res = c.state.read(q.Partition, &q.Read)
		}
		changed := c.state.parts[q.Partition].changed
		due, expires := c.state.nextExpiry(c.state.parts[q.Partition])
		epoch, now := c.doc.Epoch, c.state.now()
		c.mu.Unlock()
		if late || res.Code != op.OK || len(res.Events) > 0 {
			r := wire.Response{Epoch: epoch, Time: now, Reads: []wire.ReadReply{{Tag: q.Tag, ReadResult: res}}}
			s.Send(stamp(wire.AppendAnswer(nil, s.JID, nil, wire.AppendResponse(nil, &r)), n.jid))
			return
		}
		if !expires {
			due = time.Duration(q.Wait) * time.Millisecond
		}
		next := time.NewTimer(due)
		select {
		case <-changed:
		case <-next.C:
		case <-over.C:
			late = true
		case <-off:
			late, off = true, nil
		case <-c.over:
			next.Stop()
			return
		}
		next.Stop()
	}
}

// route says whether n leads the partition.
func (c *Cluster) route(n *fakeNode, partition uint32, f Fault) (op.Code, string) {
	if uint64(partition) >= uint64(len(c.leaders)) {
		return op.Invalid, ""
	}
	leader := c.nodes[c.leaders[partition]]
	switch {
	case leader == n:
		return op.OK, ""
	case f.NoHint:
		return op.Redirect, ""
	}
	return op.Redirect, leader.jid
}

func (c *Cluster) ringAnswer(st *stanza.Stanza) []byte {
	doc, err := ring.Encode(c.doc)
	if err != nil {
		return c.bounce(st, "internal-server-error")
	}
	el := fmt.Appendf(nil, "<ring xmlns='urn:rosterdb:store:1' epoch='%s'>", strconv.FormatUint(c.doc.Epoch, 10))
	el = stanza.AppendEscaped(el, doc)
	return stanza.AppendIQResult(nil, st, append(el, "</ring>"...))
}
