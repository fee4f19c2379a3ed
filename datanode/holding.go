package datanode

import (
	"sync/atomic"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Bounds of the results of reads that wait to be sent, in bytes of keys, references and
// values. What would be beyond is read again when there is room.
const (
	accountAnswers = 32 << 20
	nodeAnswers    = 256 << 20
)

const textAnswers = "the answers to this account's reads are more than can be held; ask for less at a time"

// resultRoom is about what an object, event or reference takes besides its strings, in bytes.
const resultRoom = 64

// holding is what results of reads of one account take until they are sent. Safe for
// concurrent use.
type holding struct{ bytes atomic.Int64 }

// holdingOf returns that of an account; the read loop calls it.
func (h *handler) holdingOf(bare string) *holding {
	if u := h.holdings[bare]; u != nil {
		return u
	}
	if len(h.holdings) >= maxClients {
		for name, u := range h.holdings {
			if u.bytes.Load() == 0 {
				delete(h.holdings, name)
			}
		}
	}
	u := new(holding)
	h.holdings[bare] = u
	return u
}

// hold takes in a result for a client until sent gives its bytes back. One for which there
// is no room is dropped, and the client told to ask again with code.
func (n *Node) hold(c *client, res *op.ReadResult, size int64, code op.Code) int64 {
	if size == 0 {
		return 0
	}
	before, all := c.holding.bytes.Add(size)-size, n.answers.held.Add(size)-size
	if before < accountAnswers && all < nodeAnswers || n.faults.AnswersUnbounded {
		n.fair.cost.Add(size)
		return size
	}
	c.holding.bytes.Add(-size)
	n.answers.held.Add(-size)
	n.refusals.note(refusedAnswers, c.bare, "read", textAnswers)
	*res = op.ReadResult{Code: code, Text: textAnswers, RetryAfter: retryAfter}
	return 0
}

// sent gives the room of results back.
func (n *Node) sent(c *client, done []readDone) {
	c.unsent.Add(-int64(len(done)))
	size := int64(0)
	for i := range done {
		size += done[i].held
	}
	if size > 0 {
		c.holding.bytes.Add(-size)
		n.answers.held.Add(-size)
		n.fair.freed(size)
	}
}

// resultSize is about what a result holds.
func resultSize(res *op.ReadResult) (size int64) {
	for i := range res.Objects {
		o := &res.Objects[i]
		size += int64(resultRoom + len(o.Root) + len(o.Path) + len(o.Value) + len(o.Cursor))
		for k := range o.Refs {
			size += int64(resultRoom + len(o.Refs[k].Root) + len(o.Refs[k].Path))
		}
	}
	for i := range res.Events {
		e := &res.Events[i]
		size += int64(resultRoom + len(e.Root) + len(e.Path) + len(e.Value))
	}
	return size
}

// expect is what the next result of a client may take: the average of the last ones.
func (c *client) expect() int64 { return c.average.Load() }

// learn takes in the size of a result. Two at the same time may count as one.
func (c *client) learn(size int64) {
	old := c.average.Load()
	c.average.Store(old + (size-old)/8)
}
