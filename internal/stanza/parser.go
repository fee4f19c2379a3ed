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

type binding struct {
	prefix, uri []byte
	depth       int
}

// Parser walks one whole element that a Scanner accepted, or that was cut out of
// one. It trusts the element to be well-formed: on other input it may return
// nonsense or an early EOF, but it neither panics nor loops. Everything it returns
// aliases the element, except text that had to be unescaped.
type Parser struct {
	raw     []byte
	pos     int
	depth   int
	ev      Event
	closing bool // the Start just returned was an empty element
	tag     tag
	start   int
	name    []byte
	text    []byte
	ns      []binding
	nsBuf   [6]binding
	lim     Limits
}

// Parse returns a Parser for raw.
func Parse(raw []byte) Parser {
	const unbounded = 1 << 30
	return Parser{raw: raw, lim: Limits{unbounded, unbounded, unbounded, unbounded}}
}

// Next moves to the next event.
func (p *Parser) Next() Event {
	if p.ns == nil {
		p.ns = p.nsBuf[:0]
	}
	if p.closing {
		p.closing = false
		return p.leave()
	}
	if p.ev == End {
		p.unbind()
	}
	if p.pos >= len(p.raw) {
		p.ev = EOF
		return EOF
	}
	if p.raw[p.pos] != '<' {
		return p.readText()
	}
	rest := p.raw[p.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		return p.readCDATA(rest)
	case bytes.HasPrefix(rest, []byte("</")):
		return p.readEnd(rest)
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
	const open = len("<![CDATA[")
	n := bytes.Index(rest, []byte("]]>"))
	if n < open {
		return p.stop()
	}
	p.text = rest[open:n]
	p.pos += n + 3
	p.ev = Text
	return Text
}

func (p *Parser) readEnd(rest []byte) Event {
	n := bytes.IndexByte(rest, '>')
	if n < 0 || p.depth == 0 {
		return p.stop()
	}
	name := rest[2:n]
	for len(name) > 0 && isSpace(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	p.name = name
	p.pos += n + 1
	return p.leave()
}

func (p *Parser) leave() Event {
	p.depth--
	p.ev = End
	return End
}

func (p *Parser) unbind() {
	for len(p.ns) > 0 && p.ns[len(p.ns)-1].depth > p.depth {
		p.ns = p.ns[:len(p.ns)-1]
	}
}

func (p *Parser) readStart() Event {
	end := tagEnd(p.raw, p.pos)
	if end < 0 || p.tag.parse(p.raw, p.pos, end, &p.lim) != nil {
		return p.stop()
	}
	p.start, p.pos = p.pos, end
	p.depth++
	p.name = p.raw[p.tag.name.Start:p.tag.name.End]
	p.closing = p.tag.selfClosed
	for i := range p.tag.attrs {
		a := &p.tag.attrs[i]
		if !a.isDecl(p.raw) {
			continue
		}
		b := binding{uri: Unescape(p.raw[a.value.Start:a.value.End]), depth: p.depth}
		if pre := a.prefixDecl(p.raw); !pre.Empty() {
			b.prefix = p.raw[pre.Start:pre.End]
		}
		p.ns = append(p.ns, b)
	}
	p.ev = Start
	return Start
}

// tagEnd returns the offset behind the '>' of the tag at start, -1 when there is none.
func tagEnd(b []byte, start int) int {
	for i := start; i < len(b); i++ {
		switch c := b[i]; c {
		case '>':
			return i + 1
		case '"', '\'':
			n := bytes.IndexByte(b[i+1:], c)
			if n < 0 {
				return -1
			}
			i += n + 1
		}
	}
	return -1
}

// Name is the local name of the element that just started or ended.
func (p *Parser) Name() []byte {
	if i := bytes.IndexByte(p.name, ':'); i >= 0 {
		return p.name[i+1:]
	}
	return p.name
}

// NS is the namespace of the element that just started or ended; empty where it
// is inherited from outside of what is parsed.
func (p *Parser) NS() []byte {
	var prefix []byte
	if i := bytes.IndexByte(p.name, ':'); i >= 0 {
		prefix = p.name[:i]
	}
	for i := len(p.ns) - 1; i >= 0; i-- {
		if bytes.Equal(p.ns[i].prefix, prefix) {
			return p.ns[i].uri
		}
	}
	return nil
}

// Attr returns an attribute of the element that just started, unescaped.
func (p *Parser) Attr(name string) ([]byte, bool) {
	if p.ev != Start {
		return nil, false
	}
	for i := range p.tag.attrs {
		a := &p.tag.attrs[i]
		if string(p.raw[a.name.Start:a.name.End]) == name {
			return Unescape(p.raw[a.value.Start:a.value.End]), true
		}
	}
	return nil, false
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
	if p.ev != Start {
		return nil
	}
	start := p.start
	p.Skip()
	return p.raw[start:p.pos]
}

// Content returns the text directly inside the element that just started and
// moves behind its end; child elements are passed over.
func (p *Parser) Content() []byte {
	var out []byte
	if p.ev != Start {
		return nil
	}
	for inside := p.depth; ; {
		switch p.Next() {
		case EOF:
			return out
		case Text:
			if p.depth != inside {
				continue
			}
			if out == nil {
				out = p.text
			} else {
				out = append(out[:len(out):len(out)], p.text...)
			}
		case End:
			if p.depth < inside {
				return out
			}
		}
	}
}
