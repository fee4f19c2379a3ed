package datanode

import (
	"slices"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// smallValue is the length up to which values are given whole before longer
// ones get a share, in bytes.
const smallValue = 4 << 10

// together is how many of the results share an answer by message without having to be
// asked for again, and the room that they need for more than parts of values.
func together(done []readDone) (n, room int) {
	room = aroundReplies
	for n < len(done) && n < maxRepliesPerAnswer {
		res := &done[n].res
		size := wire.ReplySize(res) + stanza.EscapedLen(res.Text)
		if res.Code == op.Redirect {
			size += maxLeader
		}
		for i := range res.Objects {
			size += wire.ObjectSize(&res.Objects[i])
		}
		for i := range res.Events {
			size += wire.EventSize(&res.Events[i])
		}
		if n > 0 && room+size > maxReadMessage {
			break
		}
		room += size
		n++
	}
	return n, min(max(room+pieceRoom, maxReadMessage), wire.MaxResponse)
}

const (
	aroundReplies = 256       // bytes of the element around them
	maxLeader     = 6 * 3071  // bytes of the JID of one
	pieceRoom     = 192 << 10 // for values beside keys and references that take all the room
	// leastPiece of a value must fit beside the references: without a beginning it
	// could not be read on.
	leastPiece = 4 << 10
)

const textRefs = "the path and the references of the object do not fit into an answer; read it by message instead of IQ"

// shorten makes replies fit into room bytes of XML. A value that does not fit is
// cut: Size tells its whole length, and the client asks on from there. A page
// of a list gets fewer objects, and More; one of changes fewer events. A reply for which its neighbours left
// no room is asked for again; only what cannot be cut (references) and would
// not fit alone either is refused as too large.
func shorten(replies []wire.ReadReply, room int) {
	// The element around them, and the least that each takes.
	room -= aroundReplies
	alone := room
	for i := range replies {
		room -= wire.ReplySize(&replies[i].ReadResult)
	}
	for i := range replies {
		room = shortenKeys(&replies[i], room, alone-wire.ReplySize(&replies[i].ReadResult))
	}
	for _, small := range []bool{true, false} {
		for i := range replies {
			for o := range replies[i].Objects {
				obj := &replies[i].Objects[o]
				if len(obj.Value) == 0 || (len(obj.Value) <= smallValue) != small {
					continue
				}
				// 3 bytes are 4 in base64.
				if most := max(room, 0) / 4 * 3; len(obj.Value) > most {
					cutValue(replies, i, o, most)
				}
				room -= wire.ValueSize(len(obj.Value))
			}
			for e := range replies[i].Events {
				ev := &replies[i].Events[e]
				if len(ev.Value) == 0 || (len(ev.Value) <= smallValue) != small {
					continue
				}
				if most := max(room, 0) / 4 * 3; len(ev.Value) > most {
					replies[i].Events = slices.Clone(replies[i].Events)
					ev = &replies[i].Events[e]
					ev.Value = ev.Value[:most]
				}
				room -= wire.ValueSize(len(ev.Value))
			}
		}
	}
}

// cutValue shortens a value. The objects belong to the state machine or are
// shared with other readers: they are copied before they change.
func cutValue(replies []wire.ReadReply, i, o, most int) {
	replies[i].Objects = slices.Clone(replies[i].Objects)
	obj := &replies[i].Objects[o]
	obj.Value = obj.Value[:most]
}

// shortenKeys accounts for everything but values, and returns the room left.
// alone is the room that the reply could have without its neighbours.
func shortenKeys(r *wire.ReadReply, room, alone int) int {
	room -= stanza.EscapedLen(r.Text) + stanza.EscapedLen(r.Leader)
	if len(r.Events) > 0 {
		return shortenEvents(r, room)
	}
	for i := range r.Objects {
		size := wire.ObjectSize(&r.Objects[i])
		least := size + min(wire.ValueSize(len(r.Objects[i].Value)), leastPiece)
		switch {
		case i == 0 && least > alone:
			r.ReadResult = op.ReadResult{Code: op.TooLarge, Revision: r.Revision, Text: textRefs}
			return room - len(textRefs)
		case size <= room:
			room -= size
			continue
		case i > 0:
			r.Objects, r.More = r.Objects[:i], true
		default:
			r.ReadResult = op.ReadResult{Code: op.Retry, Revision: r.Revision}
		}
		return room
	}
	return room
}

// shortenEvents is shortenKeys for events. A page of them ends in front of an entry, or
// in the midst of the first one's: the Position says where to go on.
func shortenEvents(r *wire.ReadReply, room int) int {
	kept := 0
	for ; kept < len(r.Events); kept++ {
		size := wire.EventSize(&r.Events[kept])
		if size > room {
			break
		}
		room -= size
	}
	switch {
	case kept == len(r.Events):
		return room
	case kept == 0:
		r.ReadResult = op.ReadResult{Code: op.Retry}
		return room
	}
	first, next := r.Events[0].Position, r.Events[kept].Position
	for first != next && r.Events[kept-1].Position == next {
		kept--
		room += wire.EventSize(&r.Events[kept])
	}
	r.Events, r.More, r.Position = r.Events[:kept], true, next-1
	return room
}
