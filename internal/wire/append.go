package wire

import (
	"encoding/base64"
	"strconv"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

func appendUint(dst []byte, name string, v uint64) []byte {
	dst = append(append(append(dst, ' '), name...), "='"...)
	return append(strconv.AppendUint(dst, v, 10), '\'')
}

func appendOptUint(dst []byte, name string, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return appendUint(dst, name, v)
}

func appendOpt(dst []byte, name, v string) []byte {
	if v == "" {
		return dst
	}
	return stanza.AppendAttr(dst, name, v)
}

func appendTagged(dst []byte, element string, tag uint64, partition uint32) []byte {
	dst = append(append(dst, '<'), element...)
	dst = appendUint(dst, "tag", tag)
	return appendUint(dst, "partition", uint64(partition))
}

// AppendRequest appends the <ops/> element.
func AppendRequest(dst []byte, r *Request) []byte {
	dst = append(dst, "<ops xmlns='"+NS+"'"...)
	dst = append(appendUint(dst, "epoch", r.Epoch), '>')
	for i := range r.Opens {
		dst = appendTagged(dst, "open", r.Opens[i].Tag, r.Opens[i].Partition)
		dst = append(dst, "/>"...)
	}
	for i := range r.Writes {
		dst = appendWrite(dst, &r.Writes[i])
	}
	for i := range r.Reads {
		dst = appendRead(dst, &r.Reads[i])
	}
	return append(dst, "</ops>"...)
}

func appendWrite(dst []byte, w *Write) []byte {
	dst = appendTagged(dst, "write", w.Tag, w.Partition)
	dst = appendUint(dst, "session", uint64(w.Session))
	dst = appendUint(dst, "seq", w.Seq)
	dst = appendUint(dst, "floor", w.Floor)
	dst = append(stanza.AppendAttr(dst, "root", w.Root), '>')
	for i := range w.Mutations {
		dst = appendMutation(dst, &w.Mutations[i])
	}
	return append(dst, "</write>"...)
}

func appendMutation(dst []byte, m *op.Mutation) []byte {
	name := "put"
	if m.Kind == op.Delete {
		name = "delete"
	}
	dst = append(append(dst, '<'), name...)
	dst = stanza.AppendAttr(dst, "path", m.Path)
	switch m.Cond.Kind {
	case op.Absent:
		dst = append(dst, " if='absent'"...)
	case op.Present:
		dst = append(dst, " if='present'"...)
	case op.VersionIs:
		dst = appendUint(dst, "if-version", m.Cond.Version)
	}
	if len(m.Value) == 0 && len(m.Refs) == 0 {
		return append(dst, "/>"...)
	}
	dst = appendContent(append(dst, '>'), m.Value, m.Refs)
	return append(append(append(dst, "</"...), name...), '>')
}

func appendContent(dst, value []byte, refs []op.Ref) []byte {
	if len(value) > 0 {
		dst = append(dst, "<v>"...)
		dst = base64.StdEncoding.AppendEncode(dst, value)
		dst = append(dst, "</v>"...)
	}
	for _, r := range refs {
		dst = stanza.AppendAttr(append(dst, "<ref"...), "root", r.Root)
		dst = append(appendOpt(dst, "path", r.Path), "/>"...)
	}
	return dst
}

func appendRead(dst []byte, r *Read) []byte {
	name := "get"
	if r.Kind == op.List {
		name = "list"
	}
	dst = appendTagged(dst, name, r.Tag, r.Partition)
	dst = stanza.AppendAttr(dst, "root", r.Root)
	if r.Kind == op.List {
		dst = appendOpt(dst, "prefix", r.Prefix)
		if !r.FromStart {
			dst = stanza.AppendAttr(dst, "after", r.After)
		}
		dst = appendOptUint(dst, "limit", uint64(max(r.Limit, 0)))
	} else {
		dst = stanza.AppendAttr(dst, "path", r.Path)
		dst = appendOptUint(dst, "offset", r.Offset)
		dst = appendOptUint(dst, "version", r.Version)
	}
	return append(dst, "/>"...)
}

// AppendResponse appends the <results/> element.
func AppendResponse(dst []byte, r *Response) []byte {
	dst = append(dst, "<results xmlns='"+NS+"'"...)
	dst = append(appendUint(dst, "epoch", r.Epoch), '>')
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
	dst = appendOpt(dst, "leader", w.Leader)
	dst = appendOpt(dst, "text", w.Text)
	if len(w.Items) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, it := range w.Items {
		dst = stanza.AppendAttr(append(dst, "<item"...), "code", codeName(it.Code))
		dst = append(appendOptUint(dst, "version", it.Version), "/>"...)
	}
	return append(dst, "</done>"...)
}

func appendReadReply(dst []byte, r *ReadReply) []byte {
	dst = appendUint(append(dst, "<read"...), "tag", r.Tag)
	dst = stanza.AppendAttr(dst, "code", codeName(r.Code))
	dst = appendOptUint(dst, "revision", r.Revision)
	if r.More {
		dst = append(dst, " more='1'"...)
	}
	dst = appendOpt(dst, "leader", r.Leader)
	dst = appendOpt(dst, "text", r.Text)
	if len(r.Objects) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range r.Objects {
		o := &r.Objects[i]
		dst = stanza.AppendAttr(append(dst, "<object"...), "path", o.Path)
		dst = appendUint(dst, "version", o.Version)
		dst = appendUint(dst, "size", o.Size)
		if len(o.Value) == 0 && len(o.Refs) == 0 {
			dst = append(dst, "/>"...)
			continue
		}
		dst = append(appendContent(append(dst, '>'), o.Value, o.Refs), "</object>"...)
	}
	return append(dst, "</read>"...)
}
