package exchange

import (
	"context"
	"encoding/binary"

	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// maxCast bounds the accounts of one frame.
const maxCast = 2000

// Tell implements im.Others.
func (x *Exchange) Tell(server string, op *im.Op) {
	for list := op.List; ; {
		part := *op
		part.List = list[:min(len(list), maxCast)]
		x.tellAll(server, appendOp(nil, &part))
		if list = list[len(part.List):]; len(list) == 0 {
			return
		}
	}
}

// InTurn has something done behind all that other servers have told of presence until now.
func (x *Exchange) InTurn(f func(context.Context, *session.Batch)) {
	x.casts.add(func(b *session.Batch) { f(x.ctx, b) })
}

// Servers implements im.Others.
func (x *Exchange) Servers() []string { return x.cfg.Mesh.Connected() }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	end := size + int(n) //nolint:gosec // not more than there is
	return string(b[size:end]), b[end:], true
}

// appendOp appends an operation: its kind, A, B, the number of List, those, Raw.
func appendOp(b []byte, op *im.Op) []byte {
	b = appendText(appendText(append(b, byte(op.Kind)), op.A), op.B)
	b = binary.AppendUvarint(b, uint64(len(op.List)))
	for _, s := range op.List {
		b = appendText(b, s)
	}
	return append(b, op.Raw...)
}

func cutOp(b []byte) (op im.Op, ok bool) {
	if len(b) == 0 {
		return op, false
	}
	op.Kind = im.OpKind(b[0])
	if op.A, b, ok = cutText(b[1:]); !ok {
		return op, false
	}
	if op.B, b, ok = cutText(b); !ok {
		return op, false
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return op, false
	}
	b = b[size:]
	for range n {
		var s string
		if s, b, ok = cutText(b); !ok {
			return op, false
		}
		op.List = append(op.List, s)
	}
	op.Raw = clone(b)
	return op, true
}

// told takes what another server says of presence and rosters.
func (x *Exchange) told(from string, frame []byte) {
	op, ok := cutOp(frame)
	if !ok {
		x.log.Error("presence of a server can't be read", "server", from)
		return
	}
	take := func() {
		x.cast(from, &op, len(frame))
	}
	if x.cfg.Faults.Told != nil {
		x.cfg.Faults.Told(from, take)
		return
	}
	take()
}

// cast has something done that a server has told.
func (x *Exchange) cast(from string, op *im.Op, size int) {
	do := func(b *session.Batch) { x.cfg.IM.Told(x.ctx, from, op, b) }
	if x.cfg.Faults.TakeAll {
		x.casts.add(do)
		return
	}
	switch x.casts.take(from, op, size, do) {
	case superseded:
		x.counts.Superseded.Add(1)
	case refused:
		x.anew(from, "a server tells more of presence than this one can follow: it is connected anew")
	case entered, void:
	}
}
