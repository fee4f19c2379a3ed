package stanza

import "bytes"

// Event is what Parser.Next found.
type Event uint8

// The events.
const (
	EOF Event = iota
	Start
	End
	Text
)

// scope is a namespace declaration in scope. A default namespace has no prefix.
type scope struct {
	prefix, uri span
	depth       int32
}

// inlineScopes is how many declarations a Parser holds without allocating.
const inlineScopes = 6

// Parser walks one whole element that a Scanner accepted, or that was cut out of
// one. It trusts the element to be well-formed: on other input it may return
// nonsense or an early EOF, but it neither panics nor loops. Everything it returns
// aliases the element, except text and values that had to be unescaped, which are
// the only things it allocates for.
type Parser struct {
	raw    []byte
	text   []byte
	pos    int
	depth  int
	start  int // of the tag that just started
	name   span
	attrs  span // from behind its name to its '>'
	attr   int  // where NextAttr goes on
	ev     Event
	empty  bool // the Start just returned was an empty element
	scopes int
	first  [inlineScopes]scope
	rest   []scope // the scopes behind first
}

// Parse returns a Parser for raw, which has less than 1 GiB.
func Parse(raw []byte) Parser {
	return Parser{raw: raw[:min(len(raw), maxMaxStanza)]}
}

// Next moves to the next event.
func (p *Parser) Next() Event {
	if p.empty {
		p.empty = false
		p.depth--
		p.ev = End
		return End
	}
	if p.ev == End {
		p.unbind()
	}
	if p.pos >= len(p.raw) {
		return p.stop()
	}
	if p.raw[p.pos] != '<' {
		return p.readText()
	}
	rest := p.raw[p.pos:]
	switch {
	case len(rest) < 2:
		return p.stop()
	case rest[1] == '/':
		return p.readEnd(rest)
	case rest[1] == '!':
		return p.readCDATA(rest)
	}
	return p.readStart()
}

func (p *Parser) stop() Event {
	p.pos, p.ev = len(p.raw), EOF
	return EOF
}

func (p *Parser) readText() Event {
	n := bytes.IndexByte(p.raw[p.pos:], '<')
	if n < 0 {
		n = len(p.raw) - p.pos
	}
	p.text = Unescape(p.raw[p.pos : p.pos+n])
	p.pos += n
	p.ev = Text
	return Text
}

func (p *Parser) readCDATA(rest []byte) Event {
	const begin = "<![CDATA["
	n := bytes.Index(rest, []byte("]]>"))
	if n < len(begin) || string(rest[:len(begin)]) != begin {
		return p.stop()
	}
	p.text = rest[len(begin):n]
	p.pos += n + 3
	p.ev = Text
	return Text
}

func (p *Parser) readEnd(rest []byte) Event {
	n := bytes.IndexByte(rest, '>')
	if n < 0 || p.depth == 0 {
		return p.stop()
	}
	end := n
	for end > 2 && isSpace(rest[end-1]) {
		end--
	}
	p.name = span{int32(p.pos + 2), int32(p.pos + end)}
	p.pos += n + 1
	p.depth--
	p.ev = End
	return End
}

func (p *Parser) readStart() Event {
	i := p.pos + 1
	for i < len(p.raw) && nameClass[p.raw[i]] != 0 {
		i++
	}
	name := span{int32(p.pos + 1), int32(i)}
	p.depth++
	at := i
	for {
		n, v, next := attrAt(p.raw, i)
		if next < 0 {
			break
		}
		p.bind(n, v)
		i = next
	}
	i = skipSpace(p.raw, i)
	empty := i < len(p.raw) && p.raw[i] == '/'
	if empty {
		i++
	}
	if name.start == name.end || i >= len(p.raw) || p.raw[i] != '>' {
		p.depth--
		return p.stop()
	}
	p.start, p.name, p.attrs = p.pos, name, span{int32(at), int32(i)}
	p.attr, p.pos, p.empty, p.ev = at, i+1, empty, Start
	return Start
}

// attrAt returns the name and the value of the attribute at i, which may have
// white space before it, and the offset behind it; -1 when there is none.
func attrAt(b []byte, i int) (name, value span, next int) {
	i = skipSpace(b, i)
	start := i
	for i < len(b) && nameClass[b[i]] != 0 {
		i++
	}
	name = span{int32(start), int32(i)}
	i = skipSpace(b, i)
	if start == int(name.end) || i >= len(b) || b[i] != '=' {
		return name, value, -1
	}
	if i = skipSpace(b, i+1); i >= len(b) || b[i] != '\'' && b[i] != '"' {
		return name, value, -1
	}
	n := bytes.IndexByte(b[i+1:], b[i])
	if n < 0 {
		return name, value, -1
	}
	return name, span{int32(i + 1), int32(i + 1 + n)}, i + n + 2
}

// bind enters the attribute if it is a namespace declaration.
func (p *Parser) bind(name, value span) {
	const xmlns = "xmlns"
	n := p.raw[name.start:name.end]
	if len(n) < len(xmlns) || string(n[:len(xmlns)]) != xmlns {
		return
	}
	s := scope{uri: value, depth: int32(p.depth)}
	if len(n) > len(xmlns) {
		if n[len(xmlns)] != ':' {
			return
		}
		s.prefix = span{name.start + int32(len(xmlns)) + 1, name.end}
	}
	if p.scopes < inlineScopes {
		p.first[p.scopes] = s
	} else {
		p.rest = append(p.rest, s)
	}
	p.scopes++
}

func (p *Parser) scope(i int) *scope {
	if i < inlineScopes {
		return &p.first[i]
	}
	return &p.rest[i-inlineScopes]
}

// unbind drops the declarations of the element that ended.
func (p *Parser) unbind() {
	for p.scopes > 0 && int(p.scope(p.scopes-1).depth) > p.depth {
		p.scopes--
	}
	p.rest = p.rest[:max(0, p.scopes-inlineScopes)]
}

// Name is the local name of the element that just started or ended.
func (p *Parser) Name() []byte {
	_, local := p.splitName()
	return local
}

func (p *Parser) splitName() (prefix, local []byte) {
	n := p.raw[p.name.start:p.name.end]
	if i := bytes.IndexByte(n, ':'); i >= 0 {
		return n[:i], n[i+1:]
	}
	return nil, n
}

// NS is the namespace of the element that just started or ended; empty where it
// is inherited from outside of what is parsed.
func (p *Parser) NS() []byte {
	prefix, _ := p.splitName()
	for i := p.scopes - 1; i >= 0; i-- {
		s := p.scope(i)
		if string(p.raw[s.prefix.start:s.prefix.end]) == string(prefix) {
			return unescapeValue(p.raw[s.uri.start:s.uri.end])
		}
	}
	switch string(prefix) {
	case "stream":
		return []byte(NSStream)
	case "xml":
		return []byte(nsXML)
	}
	return nil
}

// Attr returns an attribute of the element that just started, unescaped. Its name
// is compared as written, prefix included.
func (p *Parser) Attr(name string) ([]byte, bool) {
	if p.ev != Start {
		return nil, false
	}
	for i := int(p.attrs.start); ; {
		n, v, next := attrAt(p.raw, i)
		if next < 0 {
			return nil, false
		}
		if string(p.raw[n.start:n.end]) == name {
			return unescapeValue(p.raw[v.start:v.end]), true
		}
		i = next
	}
}

// NextAttr returns the attributes of the element that just started one after
// another, in order, names as written and values unescaped; ok is false behind the
// last one.
func (p *Parser) NextAttr() (name, value []byte, ok bool) {
	if p.ev != Start {
		return nil, nil, false
	}
	n, v, next := attrAt(p.raw, p.attr)
	if next < 0 {
		return nil, nil, false
	}
	p.attr = next
	return p.raw[n.start:n.end], unescapeValue(p.raw[v.start:v.end]), true
}

// Text is the text of the Text event, unescaped. Neighbouring text and CDATA are
// events of their own.
func (p *Parser) Text() []byte { return p.text }

// Depth is the number of open elements; behind an End, of those around it.
func (p *Parser) Depth() int { return p.depth }

// Skip moves behind the end of the element that just started.
func (p *Parser) Skip() {
	if p.ev != Start {
		return
	}
	for outside := p.depth - 1; p.depth > outside; {
		if p.Next() == EOF {
			return
		}
	}
}

// Element returns the whole element that just started and moves behind its end.
// Prefixes and a default namespace declared outside of it are not repeated in it.
func (p *Parser) Element() []byte {
	at := p.ElementSpan()
	if at.Empty() {
		return nil
	}
	return p.raw[at.Start:at.End]
}

// ElementSpan is Element as a range of what is parsed.
func (p *Parser) ElementSpan() Span {
	if p.ev != Start {
		return Span{}
	}
	start := p.start
	p.Skip()
	return Span{start, p.pos}
}

// Inner returns what is inside the element that just started, as written, and moves
// behind its end.
func (p *Parser) Inner() []byte {
	if p.ev != Start || p.empty {
		p.Skip()
		return nil
	}
	start := p.pos
	p.Skip()
	end := bytes.LastIndex(p.raw[start:p.pos], []byte("</"))
	if end < 0 {
		return nil
	}
	return p.raw[start : start+end]
}

// Content returns the text directly inside the element that just started and
// moves behind its end; child elements are passed over.
func (p *Parser) Content() []byte {
	text, _ := p.TextOnly()
	return text
}

// TextOnly is Content, and tells whether that was all there is in the element: false if
// it has child elements.
func (p *Parser) TextOnly() (text []byte, only bool) {
	if p.ev != Start {
		return nil, true
	}
	only = true
	for inside := p.depth; ; {
		switch p.Next() {
		case EOF:
			return text, only
		case Start:
			only = false
		case Text:
			if p.depth != inside {
				continue
			}
			if text == nil {
				text = p.text
			} else {
				text = append(text[:len(text):len(text)], p.text...)
			}
		case End:
			if p.depth < inside {
				return text, only
			}
		}
	}
}
