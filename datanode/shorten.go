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

const textRefs = "the path and the references of the object do not fit into an answer; read it by message instead of IQ"

const textEvents = "the events do not fit into an answer; ask for fewer, or by message instead of IQ"

// shorten makes replies fit into room bytes of XML. A value that does not fit is
// cut: Size tells its whole length, and the client asks on from there. A page
// of a list gets fewer objects, and More; events are given all or none. A reply for which its neighbours left
// no room is asked for again; only what cannot be cut (references) and would
// not fit alone either is refused as too large.
func shorten(replies []wire.ReadReply, room int) {
	// The element around them, and the least that each takes.
	room -= 256
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
		return shortenEvents(r, room, alone)
	}
	for i := range r.Objects {
		size := wire.ObjectSize(&r.Objects[i])
		if size <= room {
			room -= size
			continue
		}
		switch {
		case i > 0:
			r.Objects, r.More = r.Objects[:i], true
		case size <= alone:
			r.ReadResult = op.ReadResult{Code: op.Retry, Revision: r.Revision}
		default:
			r.ReadResult = op.ReadResult{Code: op.TooLarge, Revision: r.Revision, Text: textRefs}
			room -= len(textRefs)
		}
		return room
	}
	return room
}

// shortenEvents is shortenKeys for events. They are not cut: where a page of them
// ends is the state machine's to say.
func shortenEvents(r *wire.ReadReply, room, alone int) int {
	size := 0
	for i := range r.Events {
		size += wire.EventSize(&r.Events[i])
	}
	switch {
	case size <= room:
		return room - size
	case size <= alone:
		r.ReadResult = op.ReadResult{Code: op.Retry}
	default:
		r.ReadResult = op.ReadResult{Code: op.TooLarge, Text: textEvents}
		room -= len(textEvents)
	}
	return room
}
