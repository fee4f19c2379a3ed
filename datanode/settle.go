package datanode

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/replication/state"
)

// settle takes a question after a write. Who may not write any more may still ask
// what became of what it wrote.
func (h *handler) settle(r *request, s *wire.Settle) {
	answer, ok := h.admit(r.c, s.Partition, s.Bad)
	if ok {
		answer, ok = h.checkSettle(r.c, s)
	}
	if !ok {
		h.turnDown(r, kindSettle, s.Tag, s.Partition, answer)
		return
	}
	h.propose(r, kindSettle, s.Tag, s.Partition, state.EncodeSettle(nil, h.stamp(), r.c.owner, s.Settle), 0)
}

func (h *handler) checkSettle(c *client, s *wire.Settle) (refusal, bool) {
	if err := s.Check(); err != nil {
		return refusal{why: refusedInvalid, Code: op.Invalid, Text: err.Error()}, false
	}
	if answer, ok := h.checkSession(c, s.Partition, s.Session); !ok {
		return answer, false
	}
	if h.n.disk.full() {
		return refusal{why: refusedFull, Code: op.Full, Text: h.n.disk.text(), RetryAfter: op.FullRetry}, false
	}
	return refusal{}, true
}
