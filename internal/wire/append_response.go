package wire

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

// AppendResponse appends the <results/> element.
func AppendResponse(dst []byte, r *Response) []byte {
	dst = append(dst, "<results xmlns='"+NS+"'"...)
	dst = append(appendOptInt(appendUint(dst, "epoch", r.Epoch), "time", r.Time), '>')
	for i := range r.Writes {
		dst = appendWriteReply(dst, &r.Writes[i])
	}
	for i := range r.Reads {
		dst = appendReadReply(dst, &r.Reads[i])
	}
	return append(dst, "</results>"...)
}

func appendWriteReply(dst []byte, w *WriteReply) []byte {
	dst = appendUint(append(dst, "<done"...), "tag", w.Tag)
	dst = stanza.AppendAttr(dst, "code", codeName(w.Code))
	dst = appendOptUint(dst, "revision", w.Revision)
	dst = appendOptUint(dst, "session", uint64(w.Session))
	dst = appendOptInt(dst, "retry-after", w.RetryAfter)
	dst = appendOpt(dst, "leader", w.Leader)
	dst = appendOpt(dst, "text", w.Text)
	if len(w.Items) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, it := range w.Items {
		dst = stanza.AppendAttr(append(dst, "<item"...), "code", codeName(it.Code))
		dst = appendOptUint(dst, "version", it.Version)
		if it.Count != 0 {
			dst = appendInt(dst, "count", it.Count)
		}
		dst = append(dst, "/>"...)
	}
	return append(dst, "</done>"...)
}

func appendReadReply(dst []byte, r *ReadReply) []byte {
	dst = appendUint(append(dst, "<read"...), "tag", r.Tag)
	dst = stanza.AppendAttr(dst, "code", codeName(r.Code))
	dst = appendOptUint(dst, "term", r.Term)
	dst = appendOptUint(dst, "revision", r.Revision)
	dst = appendOptUint(dst, "position", r.Position)
	dst = appendOptInt(dst, "time", r.ReadResult.Time)
	dst = appendFlag(dst, "expiring", r.Expiring)
	dst = appendFlag(dst, "more", r.More)
	dst = appendOptInt(dst, "retry-after", r.RetryAfter)
	dst = appendOpt(dst, "leader", r.Leader)
	dst = appendOpt(dst, "text", r.Text)
	if len(r.Objects) == 0 && len(r.Events) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range r.Objects {
		dst = appendObject(dst, &r.Objects[i])
	}
	for i := range r.Events {
		dst = appendEvent(dst, &r.Events[i])
	}
	return append(dst, "</read>"...)
}

func appendObject(dst []byte, o *op.Object) []byte {
	dst = appendOpt(append(dst, "<object"...), "root", o.Root)
	dst = stanza.AppendAttr(dst, "path", o.Path)
	dst = appendUint(dst, "version", o.Version)
	dst = appendUint(dst, "size", o.Size)
	dst = appendOptInt(dst, "expires", o.Expires)
	dst = appendCursor(dst, o.Cursor)
	if len(o.Value) == 0 && len(o.Refs) == 0 && o.Key.Kind == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if o.Key.Kind != 0 {
		dst = appendScalar(dst, "key", &o.Key)
	}
	return append(appendContent(dst, o.Value, o.Refs), "</object>"...)
}

// eventNames are the kinds of events on the wire.
var eventNames = [...]string{op.Written: "written", op.Deleted: "deleted", op.Expired: "expired", op.Left: "left"}

// eventKindOf is 0 for a kind of a later version of the protocol.
func eventKindOf(name []byte) op.EventKind {
	for k, n := range eventNames {
		if n != "" && n == string(name) {
			return op.EventKind(k)
		}
	}
	return 0
}

func appendEvent(dst []byte, e *op.Event) []byte {
	kind := "unknown"
	if int(e.Kind) < len(eventNames) && e.Kind > 0 {
		kind = eventNames[e.Kind]
	}
	dst = stanza.AppendAttr(append(dst, "<event"...), "kind", kind)
	dst = stanza.AppendAttr(dst, "root", e.Root)
	dst = stanza.AppendAttr(dst, "path", e.Path)
	dst = appendUint(dst, "position", e.Position)
	dst = appendUint(dst, "revision", e.Revision)
	dst = appendFlag(dst, "superseded", e.Superseded)
	dst = appendOptUint(dst, "size", e.Size)
	if len(e.Value) == 0 {
		return append(dst, "/>"...)
	}
	return append(appendContent(append(dst, '>'), e.Value, nil), "</event>"...)
}
