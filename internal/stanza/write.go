package stanza

import "unicode/utf8"

// escapes of the ASCII characters that cannot stand for themselves both in text
// and between quotes. White space but the blank is a reference, or a receiver
// would normalize it (XML 1.0, sections 2.11 and 3.3.3).
var escapes = func() (t [utf8.RuneSelf]string) {
	for c := range ' ' {
		t[c] = "\uFFFD"
	}
	t['\t'], t['\n'], t['\r'] = "&#9;", "&#10;", "&#13;"
	t['&'], t['<'], t['>'], t['\''], t['"'] = "&amp;", "&lt;", "&gt;", "&apos;", "&quot;"
	return t
}()

// AppendEscaped appends s so that it can stand as text and between single or
// double quotes. What XML cannot carry at all, invalid UTF-8 included, becomes
// U+FFFD: one bad character must not end the stream.
func AppendEscaped[T ~string | ~[]byte](dst []byte, s T) []byte {
	from := 0
	for i := 0; i < len(s); {
		n, e := 1, ""
		if c := s[i]; c < utf8.RuneSelf {
			e = escapes[c]
		} else {
			var r rune
			if r, n = utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)])); r == utf8.RuneError && n == 1 || !isXMLChar(r) {
				e = "\uFFFD"
			}
		}
		if e != "" {
			dst = append(append(dst, s[from:i]...), e...)
			from = i + n
		}
		i += n
	}
	return append(dst, s[from:]...)
}

// EscapedLen is at least the length of what AppendEscaped appends, in bytes; for
// valid UTF-8 it is just that.
func EscapedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf && escapes[c] != "" {
			n += len(escapes[c]) - 1
		}
	}
	if !utf8.ValidString(s) {
		n += 2 * len(s) // U+FFFD is three bytes
	}
	return n
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
	return AppendErrorApp(dst, st, fromJID, typ, condition, text, "")
}

// AppendErrorApp is AppendError with an application-specific condition, an element of another
// namespace (RFC 6120, section 8.3.4).
func AppendErrorApp(dst []byte, st *Stanza, fromJID, typ, condition, text, app string) []byte {
	if st.Kind == Nonza || st.Kind == StreamEnd || st.IsType("error") || st.Kind == IQ && st.IsType("result") {
		return dst
	}
	dst = appendReply(dst, st, fromJID, "error")
	dst = append(dst, "><error"...)
	dst = AppendAttr(dst, "type", typ)
	dst = append(append(append(dst, "><"...), condition...), " xmlns='"+NSStanzas+"'/>"...)
	if text != "" {
		dst = append(dst, "<text xmlns='"+NSStanzas+"'>"...)
		dst = append(AppendEscaped(dst, text), "</text>"...)
	}
	dst = append(append(dst, app...), "</error></"...)
	return append(append(dst, st.Kind.element()...), '>')
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
	dst = append(append(dst, '<'), st.Kind.element()...)
	dst = AppendAttr(dst, "type", typ)
	dst = appendCopy(dst, "id", st, st.ID)
	if fromJID != "" {
		dst = AppendAttr(dst, "from", fromJID)
	} else {
		dst = appendCopy(dst, "from", st, st.To)
	}
	return appendCopy(dst, "to", st, st.From)
}

// appendCopy appends the value of an attribute of st under a name.
func appendCopy(dst []byte, name string, st *Stanza, a Attr) []byte {
	if !a.Present() {
		return dst
	}
	return AppendAttr(dst, name, unescapeValue(st.Get(a.Value)))
}
