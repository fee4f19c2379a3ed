package stanza

// AppendEscaped appends s so that it can stand as text and between single or
// double quotes.
func AppendEscaped[T ~string | ~[]byte](dst []byte, s T) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		var e string
		switch s[i] {
		case '&':
			e = "&amp;"
		case '<':
			e = "&lt;"
		case '>':
			e = "&gt;"
		case '\'':
			e = "&apos;"
		case '"':
			e = "&quot;"
		case '\n':
			e = "&#10;"
		case '\r':
			e = "&#13;"
		case '\t':
			e = "&#9;"
		default:
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, e...)
		from = i + 1
	}
	return append(dst, s[from:]...)
}

// AppendAttr appends ` name='value'` with the value escaped.
func AppendAttr[T ~string | ~[]byte](dst []byte, name string, value T) []byte {
	dst = append(append(append(dst, ' '), name...), "='"...)
	return append(AppendEscaped(dst, value), '\'')
}

// AppendError appends the error reply to a stanza: addresses swapped, the id kept
// (RFC 6120, section 8.3). fromJID is the address that answers; "" takes the
// stanza's to. typ is the error type (auth, cancel, continue, modify, wait). It
// appends nothing for a stanza that is an error itself or an IQ result, which must
// not be answered.
func AppendError(dst []byte, st *Stanza, fromJID, typ, condition, text string) []byte {
	if st.Kind == Nonza || st.Kind == StreamEnd || st.IsType("error") || st.Kind == IQ && st.IsType("result") {
		return dst
	}
	dst = appendReply(dst, st, fromJID, "error")
	dst = append(dst, "><error"...)
	dst = AppendAttr(dst, "type", typ)
	dst = append(append(append(dst, "><"...), condition...), " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"...)
	if text != "" {
		dst = append(dst, "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"...)
		dst = append(AppendEscaped(dst, text), "</text>"...)
	}
	dst = append(dst, "</error></"...)
	return append(append(dst, st.Get(st.Name)...), '>')
}

// AppendIQResult appends the result of an IQ get or set with payload as its child.
func AppendIQResult(dst []byte, st *Stanza, payload []byte) []byte {
	dst = appendReply(dst, st, "", "result")
	if len(payload) == 0 {
		return append(dst, "/>"...)
	}
	return append(append(append(dst, '>'), payload...), "</iq>"...)
}

func appendReply(dst []byte, st *Stanza, fromJID, typ string) []byte {
	dst = append(append(dst, '<'), st.Get(st.Name)...)
	raw := func(name string, v []byte) {
		dst = append(append(append(dst, ' '), name...), "='"...)
		dst = append(AppendEscaped(dst, Unescape(v)), '\'')
	}
	dst = AppendAttr(dst, "type", typ)
	if st.ID.Present() {
		raw("id", st.Get(st.ID.Value))
	}
	if fromJID != "" {
		dst = AppendAttr(dst, "from", fromJID)
	} else if st.To.Present() {
		raw("from", st.Get(st.To.Value))
	}
	if st.From.Present() {
		raw("to", st.Get(st.From.Value))
	}
	return dst
}
