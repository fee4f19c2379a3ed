package datanode

import (
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// Reads that the client confirms (docs/protocol.md, replication/DESIGN.md) are
// answered in the read loop, which everything else waits for: so they may take
// directMost of a wake-up, and where they need more, because the disk is asked, they
// take the ordinary way for directPause.
const (
	directMost  = 5 * time.Millisecond
	directPause = 50 * time.Millisecond
)

// direct is what reads answered in the read loop have taken.
type direct struct {
	spent time.Duration // of this wake-up
	until time.Time     // none before
	told  bool          // something is queued for the stream
}

// allowed tells whether the next read may be answered in the read loop.
func (d *direct) allowed(begun time.Time) bool {
	return d.spent < directMost && !begun.Before(d.until)
}

// took notes what a read has taken.
func (d *direct) took(t time.Duration, begun time.Time) {
	if d.spent += t; d.spent >= directMost {
		d.until = begun.Add(directPause)
	}
}

// confirmedRead answers a read that the client has somebody confirm, if that can be done
// at once; else it goes the ordinary way.
func (h *handler) confirmedRead(c *client, r *wire.Read, done func(readDone)) bool {
	n := h.n
	if r.With == 0 || r.Kind != op.Get || r.Stale || !n.fair.open() || !h.direct.allowed(h.at) {
		return false
	}
	began := time.Now()
	res, term := n.engine.ReadConfirmedBy(r.With, r.Partition, &r.Read)
	h.direct.took(time.Since(began), h.at)
	if term == 0 {
		return false
	}
	size := resultSize(&res)
	c.learn(size)
	held := n.hold(c, &res, size, op.Overloaded)
	n.counts.ended(kindOf(r.Kind), res.Code, h.at)
	done(readDone{tag: r.Tag, group: r.Partition, term: term, held: held, res: res})
	return true
}

// termsIQ tells a client in which terms this member's replicas are.
func (h *handler) termsIQ(conn *xmppconn.Conn, st *stanza.Stanza, el []byte) {
	c := h.sender(st)
	if c == nil {
		return
	}
	member, condition, text := h.terms(c, el)
	if condition != "" {
		h.refuse(conn, st, condition, text)
		return
	}
	iq := wire.BeginIQ(h.n.buffers.get(), c.jid, st.AttrString(st.ID), "result")
	iq = wire.EndIQ(wire.AppendTerms(iq, member, h.numbers))
	h.n.answers.send(c, iq)
	h.n.buffers.put(iq)
	h.direct.told = true
}

// terms puts the answer to a <terms/> into numbers; with a condition it is refused.
func (h *handler) terms(c *client, el []byte) (member uint64, condition, text string) {
	member, numbers, err := wire.ParseTerms(el, h.numbers[:0])
	v := h.n.view.Load()
	switch {
	case err != nil:
		return 0, "bad-request", err.Error()
	case h.unserving() != "" || v.self == 0 || v.self != member && !h.n.faults.AnyMember:
		// Whoever asks counts on the voter of that number, which has another disk.
		return 0, "item-not-found", "this data node is not that member; read the ring document anew"
	case h.rights(c).none():
		return 0, "forbidden", textDenied
	}
	for i, group := range numbers {
		numbers[i] = 0
		if group < uint64(v.doc.Partitions) {
			numbers[i] = h.n.engine.Term(uint32(group))
		}
	}
	h.numbers = numbers
	return member, "", ""
}
