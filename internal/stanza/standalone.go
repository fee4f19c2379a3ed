package stanza

import "bytes"

// AppendStandalone appends a whole first-level element of a stream so that it says
// the same without the header of the stream: what the header declares, the default
// namespace and the prefix "stream", is declared on the element, unless it is there
// already or, the prefix, not used (RFC 7395, section 3.3.3; XEP-0206, section 4).
// The element must be one that a Scanner accepted.
func AppendStandalone(dst, raw []byte) []byte {
	nameEnd := 1
	for nameEnd < len(raw) && nameClass[raw[nameEnd]] != 0 {
		nameEnd++
	}
	byDefault, prefix := true, bytes.Contains(raw, []byte("stream:"))
	for i := nameEnd; ; {
		name, _, next := attrAt(raw, i)
		if next < 0 {
			break
		}
		switch string(raw[name.start:name.end]) {
		case "xmlns":
			byDefault = false
		case "xmlns:stream":
			prefix = false
		}
		i = next
	}
	dst = append(dst, raw[:nameEnd]...)
	if byDefault {
		dst = append(dst, " xmlns='"+NSClient+"'"...)
	}
	if prefix {
		dst = append(dst, " xmlns:stream='"+NSStream+"'"...)
	}
	return append(dst, raw[nameEnd:]...)
}
