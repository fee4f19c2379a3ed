package wire

import (
	"strconv"

	"github.com/rosterdb/rosterdb/internal/b64"
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

// appendOptInt is for numbers that are not below 0.
func appendOptInt(dst []byte, name string, v int64) []byte {
	return appendOptUint(dst, name, uint64(max(v, 0)))
}

func appendInt(dst []byte, name string, v int64) []byte {
	dst = append(append(append(dst, ' '), name...), "='"...)
	return append(strconv.AppendInt(dst, v, 10), '\'')
}

func appendFlag(dst []byte, name string, v bool) []byte {
	if !v {
		return dst
	}
	return append(append(append(dst, ' '), name...), "='1'"...)
}

func appendTagged(dst []byte, element string, tag uint64, partition uint32) []byte {
	dst = append(append(dst, '<'), element...)
	dst = appendUint(dst, "tag", tag)
	return appendUint(dst, "partition", uint64(partition))
}

// AppendRequest appends the <ops/> element.
func AppendRequest(dst []byte, r *Request) []byte {
	dst = append(dst, "<ops xmlns='"+NS+"'"...)
	dst = append(appendOptInt(appendUint(dst, "epoch", r.Epoch), "time", r.Time), '>')
	for i := range r.Opens {
		dst = appendTagged(dst, "open", r.Opens[i].Tag, r.Opens[i].Partition)
		dst = append(dst, "/>"...)
	}
	for i := range r.Writes {
		dst = appendWrite(dst, &r.Writes[i])
	}
	for i := range r.Settles {
		s := &r.Settles[i]
		dst = appendTagged(dst, "settle", s.Tag, s.Partition)
		dst = appendUint(dst, "session", uint64(s.Session))
		dst = append(appendUint(dst, "seq", s.Seq), "/>"...)
	}
	for i := range r.Reads {
		dst = appendRead(dst, &r.Reads[i])
	}
	for _, tag := range r.Cancels {
		dst = append(appendUint(append(dst, "<cancel"...), "tag", tag), "/>"...)
	}
	return append(dst, "</ops>"...)
}

func appendWrite(dst []byte, w *Write) []byte {
	dst = appendTagged(dst, "write", w.Tag, w.Partition)
	dst = appendUint(dst, "session", uint64(w.Session))
	dst = appendUint(dst, "seq", w.Seq)
	dst = appendUint(dst, "floor", w.Floor)
	dst = stanza.AppendAttr(dst, "root", w.Root)
	if w.RootCond.Kind == op.VersionIs {
		dst = appendUint(dst, "if-revision", w.RootCond.Version)
	}
	dst = append(dst, '>')
	for i := range w.Mutations {
		dst = appendMutation(dst, &w.Mutations[i])
	}
	return append(dst, "</write>"...)
}

// mutationNames are the elements of the mutations.
var mutationNames = [...]string{op.Put: "put", op.Delete: "delete", op.Add: "add", op.Check: "check"}

func appendMutation(dst []byte, m *op.Mutation) []byte {
	name := mutationNames[op.Put]
	if int(m.Kind) < len(mutationNames) && m.Kind > 0 {
		name = mutationNames[m.Kind]
	}
	dst = append(append(dst, '<'), name...)
	dst = stanza.AppendAttr(dst, "path", m.Path)
	if m.Kind == op.Add {
		dst = appendInt(dst, "delta", m.Delta)
	}
	switch m.Cond.Kind {
	case op.Absent:
		dst = append(dst, " if='absent'"...)
	case op.Present:
		dst = append(dst, " if='present'"...)
	case op.VersionIs:
		dst = appendUint(dst, "if-version", m.Cond.Version)
	}
	dst = appendOptInt(dst, "ttl", m.TTL)
	if len(m.Value) == 0 && len(m.Refs) == 0 {
		return append(dst, "/>"...)
	}
	dst = appendContent(append(dst, '>'), m.Value, m.Refs)
	return append(append(append(dst, "</"...), name...), '>')
}

func appendContent(dst, value []byte, refs []op.Ref) []byte {
	if len(value) > 0 {
		dst = append(dst, "<v>"...)
		dst = b64.Append(dst, value)
		dst = append(dst, "</v>"...)
	}
	for _, r := range refs {
		dst = stanza.AppendAttr(append(dst, "<ref"...), "root", r.Root)
		dst = append(appendOpt(dst, "path", r.Path), "/>"...)
	}
	return dst
}

// readNames are the elements of the reads.
var readNames = [...]string{op.Get: "get", op.List: "list", op.Scan: "scan", op.Query: "query", op.Changes: "changes"}

func appendRead(dst []byte, r *Read) []byte {
	name := readNames[op.Get]
	if int(r.Kind) < len(readNames) && r.Kind > 0 {
		name = readNames[r.Kind]
	}
	dst = appendTagged(dst, name, r.Tag, r.Partition)
	if r.Stale {
		dst = appendUint(dst, "stale", uint64(max(r.MaxAge, 0)))
	}
	switch r.Kind {
	case op.List:
		dst = stanza.AppendAttr(dst, "root", r.Root)
		dst = appendOpt(dst, "prefix", r.Prefix)
		if !r.FromStart {
			dst = stanza.AppendAttr(dst, "after", r.After)
		}
	case op.Scan:
		dst = appendOpt(dst, "prefix", r.Prefix)
		if !r.FromStart {
			dst = stanza.AppendAttr(dst, "after-root", r.AfterRoot)
			dst = stanza.AppendAttr(dst, "after", r.After)
		}
		dst = appendFlag(dst, "roots", r.RootsOnly)
	case op.Query:
		dst = stanza.AppendAttr(dst, "index", r.Index)
		dst = appendCursor(appendFlag(dst, "desc", r.Desc), r.Cursor)
	case op.Changes:
		dst = appendChanges(dst, r)
	default:
		dst = stanza.AppendAttr(dst, "root", r.Root)
		dst = stanza.AppendAttr(dst, "path", r.Path)
		dst = appendOptUint(dst, "with", r.With)
		dst = appendOptUint(dst, "offset", r.Offset)
		return append(appendOptUint(dst, "version", r.Version), "/>"...)
	}
	dst = appendFlag(appendOptInt(dst, "limit", int64(r.Limit)), "values", r.Values)
	if r.From == nil && r.To == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if r.From != nil {
		dst = appendScalar(dst, "from", r.From)
	}
	if r.To != nil {
		dst = appendScalar(dst, "to", r.To)
	}
	return append(append(append(dst, "</"...), name...), '>')
}

func appendChanges(dst []byte, r *Read) []byte {
	if r.ByRevision {
		dst = appendUint(dst, "revision", r.SinceRevision)
	} else {
		dst = appendUint(dst, "since", r.Since)
	}
	dst = appendOptInt(dst, "skip", int64(r.Skip))
	dst = appendOpt(dst, "root", r.Root)
	dst = appendOpt(dst, "prefix", r.Prefix)
	dst = appendOpt(dst, "index", r.Index)
	return appendOptInt(dst, "wait", r.Wait)
}
