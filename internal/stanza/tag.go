package stanza

import "bytes"

// tagAttr is one attribute; its spans are offsets in the buffer of the tag.
type tagAttr struct{ whole, name, value Span }

// isDecl tells a namespace declaration.
func (a *tagAttr) isDecl(buf []byte) bool {
	n := buf[a.name.Start:a.name.End]
	return string(n) == "xmlns" || len(n) > 6 && string(n[:6]) == "xmlns:"
}

// prefixDecl returns the prefix that the attribute declares, empty when none.
func (a *tagAttr) prefixDecl(buf []byte) Span {
	n := buf[a.name.Start:a.name.End]
	if len(n) > 6 && string(n[:6]) == "xmlns:" {
		return Span{a.name.Start + 6, a.name.End}
	}
	return Span{}
}

// tag is a whole start tag.
type tag struct {
	name       Span
	attrs      []tagAttr // reused
	selfClosed bool
}

// parse takes in the start tag buf[start:end] and checks all of it but prefixes.
func (t *tag) parse(buf []byte, start, end int, lim *Limits) error {
	t.attrs = t.attrs[:0]
	end-- // the '>'
	if t.selfClosed = buf[end-1] == '/' && end-1 > start; t.selfClosed {
		end--
	}
	i := start + 1
	var err error
	if t.name, i, err = parseName(buf, i, end, lim.MaxName); err != nil {
		return err
	}
	for {
		ws := i
		for i < end && isSpace(buf[i]) {
			i++
		}
		if i == end {
			return nil
		}
		if i == ws {
			return errNotWellFormed("attributes must be separated by white space")
		}
		if len(t.attrs) >= lim.MaxAttrs {
			return errPolicy("too many attributes")
		}
		a := tagAttr{whole: Span{Start: ws}}
		if a.name, i, err = parseName(buf, i, end, lim.MaxName); err != nil {
			return err
		}
		if a.value, i, err = parseValue(buf, i, end); err != nil {
			return err
		}
		a.whole.End = i
		if err := t.checkNew(buf, &a); err != nil {
			return err
		}
		t.attrs = append(t.attrs, a)
	}
}

// checkNew refuses a second attribute of the same name and bad declarations.
func (t *tag) checkNew(buf []byte, a *tagAttr) error {
	name := buf[a.name.Start:a.name.End]
	for k := range t.attrs {
		if o := t.attrs[k].name; bytes.Equal(buf[o.Start:o.End], name) {
			return errNotWellFormed("attribute given twice")
		}
	}
	if p := a.prefixDecl(buf); !p.Empty() {
		switch pre := buf[p.Start:p.End]; {
		case string(pre) == "xmlns", a.value.Empty():
			return &Error{"bad-namespace-prefix", "prefix must not be declared so"}
		case string(pre) == "xml" && string(buf[a.value.Start:a.value.End]) != "http://www.w3.org/XML/1998/namespace":
			return &Error{"bad-namespace-prefix", "prefix xml bound to another namespace"}
		case bytes.IndexByte(pre, ':') >= 0:
			return errNotWellFormed("malformed qualified name")
		}
	}
	return checkText(buf[a.value.Start:a.value.End], false)
}

// namespace returns the value of the declaration that names the tag's namespace,
// empty when it is inherited.
func (t *tag) namespace(buf []byte) Span {
	prefix := []byte(nil)
	if i := bytes.IndexByte(buf[t.name.Start:t.name.End], ':'); i >= 0 {
		prefix = buf[t.name.Start : t.name.Start+i]
	}
	for i := range t.attrs {
		a := &t.attrs[i]
		if prefix == nil {
			if string(buf[a.name.Start:a.name.End]) == "xmlns" {
				return a.value
			}
		} else if p := a.prefixDecl(buf); !p.Empty() && bytes.Equal(buf[p.Start:p.End], prefix) {
			return a.value
		}
	}
	return Span{}
}

func parseName(buf []byte, i, end, limit int) (Span, int, error) {
	start, high := i, byte(0)
	for i < end && nameClass[buf[i]] != 0 {
		high |= buf[i]
		i++
	}
	if i == start || nameClass[buf[start]] != 1 {
		return Span{}, i, errNotWellFormed("malformed name")
	}
	if i-start > limit {
		return Span{}, i, errPolicy("name too long")
	}
	if high >= 0x80 {
		if err := checkName(buf[start:i]); err != nil {
			return Span{}, i, err
		}
	}
	return Span{start, i}, i, nil
}

func parseValue(buf []byte, i, end int) (Span, int, error) {
	for i < end && isSpace(buf[i]) {
		i++
	}
	if i == end || buf[i] != '=' {
		return Span{}, i, errNotWellFormed("attribute without a value")
	}
	for i++; i < end && isSpace(buf[i]); i++ {
	}
	if i == end || buf[i] != '"' && buf[i] != '\'' {
		return Span{}, i, errNotWellFormed("attribute value without quotes")
	}
	n := bytes.IndexByte(buf[i+1:end], buf[i])
	if n < 0 {
		return Span{}, i, errNotWellFormed("unterminated attribute value")
	}
	return Span{i + 1, i + 1 + n}, i + n + 2, nil
}
