package stanza

import (
	"bytes"
	"fmt"
)

// Namespaces of streams and stanzas (RFC 6120, sections 4.8 and 8.3).
const (
	NSClient  = "jabber:client"
	NSStream  = "http://etherx.jabber.org/streams"
	NSStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
)

const (
	nsXML   = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

// local is where the local part of the name starts.
func (n qname) local() int32 {
	if n.colon > 0 {
		return n.colon + 1
	}
	return n.start
}

func (n qname) prefix(b []byte) []byte {
	if n.colon == 0 {
		return nil
	}
	return b[n.start:n.colon]
}

// isDefault tells the declaration of a default namespace.
func (a *attribute) isDefault(b []byte) bool {
	return a.name.colon == 0 && string(b[a.name.start:a.name.end]) == "xmlns"
}

// isPrefix tells the declaration of a prefix.
func (a *attribute) isPrefix(b []byte) bool { return string(a.name.prefix(b)) == "xmlns" }

// declare checks the current tag's namespace declarations and enters its prefixes
// (Namespaces in XML 1.0, section 3).
func (s *Scanner) declare(b []byte) flow {
	for i := range s.attrs {
		a := &s.attrs[i]
		byDefault := a.isDefault(b)
		if !byDefault && !a.isPrefix(b) {
			continue
		}
		uri := b[a.value.start:a.value.end]
		if byDefault {
			if sameText(uri, nsXML) || sameText(uri, nsXMLNS) {
				return s.malformed("reserved namespace made the default")
			}
			continue
		}
		prefix := string(b[a.name.colon+1 : a.name.end])
		switch isXML := sameText(uri, nsXML); {
		case len(uri) == 0:
			return s.malformed("prefix declared without a namespace")
		case prefix == "xmlns", isXML != (prefix == "xml"), sameText(uri, nsXMLNS):
			return s.malformed("reserved prefix or namespace declared")
		case len(s.binds) >= s.lim.MaxPrefixes:
			return s.fail("policy-violation", fmt.Sprintf("more than %d prefixes declared", s.lim.MaxPrefixes))
		}
		s.binds = append(s.binds, binding{span{a.name.colon + 1, a.name.end}, a.value})
	}
	return again
}

// resolve checks that the prefixes of the current tag are declared and that no
// attribute is given twice, be it by two prefixes of one namespace.
func (s *Scanner) resolve(b []byte) flow {
	if s.name.colon > 0 {
		uri, declared := s.lookup(b, s.name.prefix(b))
		switch {
		case !declared && !s.known(b, s.name):
			return s.undeclared(b, s.name)
		case declared && sameText(b[uri.start:uri.end], NSClient):
			// RFC 6120, section 4.8.5: not to be passed on as it is.
			return s.fail("bad-namespace-prefix", "elements of "+NSClient+" have no prefix")
		}
	}
	for i := range s.attrs {
		a := &s.attrs[i].name
		if a.colon > 0 && !s.attrs[i].isPrefix(b) && !s.known(b, *a) {
			return s.undeclared(b, *a)
		}
		for j := range s.attrs[:i] {
			o := &s.attrs[j].name
			if a.end-a.start == o.end-o.start && bytes.Equal(b[a.start:a.end], b[o.start:o.end]) || s.sameAttribute(b, *a, *o) {
				return s.malformed("attribute given twice")
			}
		}
	}
	return again
}

func (s *Scanner) undeclared(b []byte, n qname) flow {
	return s.fail("bad-namespace-prefix", fmt.Sprintf("prefix %.40q is not declared", n.prefix(b)))
}

// known tells whether the prefix of a name is declared.
func (s *Scanner) known(b []byte, n qname) bool {
	p := n.prefix(b)
	_, ok := s.lookup(b, p)
	return ok || string(p) == "stream" && !s.header || string(p) == "xml"
}

// lookup returns the namespace to which an element in scope binds a prefix.
func (s *Scanner) lookup(b, prefix []byte) (span, bool) {
	for i := len(s.binds) - 1; i >= 0; i-- {
		if p := s.binds[i].prefix; string(b[p.start:p.end]) == string(prefix) {
			return s.binds[i].uri, true
		}
	}
	return span{}, false
}

// sameAttribute compares two prefixed names by their namespaces.
func (s *Scanner) sameAttribute(b []byte, a, o qname) bool {
	if a.colon == 0 || o.colon == 0 || !bytes.Equal(b[a.local():a.end], b[o.local():o.end]) {
		return false
	}
	x, ok := s.lookup(b, a.prefix(b))
	y, ok2 := s.lookup(b, o.prefix(b))
	if !ok || !ok2 {
		// One is bound by the stream's header.
		switch {
		case ok:
			return string(o.prefix(b)) == "stream" && sameText(b[x.start:x.end], NSStream)
		case ok2:
			return string(a.prefix(b)) == "stream" && sameText(b[y.start:y.end], NSStream)
		}
		return false
	}
	return bytes.Equal(unescapeValue(b[x.start:x.end]), unescapeValue(b[y.start:y.end]))
}

// namespace returns where the namespace of the current tag's name is declared:
// on the tag itself, or for a prefix on any open element.
func (s *Scanner) namespace(b []byte, n qname) (uri span, declared bool) {
	if n.colon > 0 {
		return s.lookup(b, n.prefix(b))
	}
	for i := range s.attrs {
		if s.attrs[i].isDefault(b) {
			return s.attrs[i].value, true
		}
	}
	return span{}, false
}

// sameText compares an attribute value as written with the text it may stand for.
func sameText(raw []byte, want string) bool {
	if len(raw) < len(want) {
		return false // a reference is never shorter than what it stands for
	}
	return string(unescapeValue(raw)) == want
}
