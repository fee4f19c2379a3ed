package datanode

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// settle takes a question after a write.
func (h *handler) settle(r *request, s *wire.Settle) {
	answer, ok := h.admit(r.c, s.Partition, s.Bad)
	if ok {
		answer = refusal{why: refusedInvalid, Code: op.Invalid, Text: "this data node does not know questions after writes"}
	}
	h.turnDown(r, kindSettle, s.Tag, s.Partition, answer)
}
