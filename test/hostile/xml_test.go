package hostile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

// place is somewhere in a stream where hostile XML can stand.
type place struct {
	name          string
	from          stage
	before, after string
}

func places() []place {
	return []place{
		{"before the header", connected, "", xmppraw.Header},
		{"behind the XML declaration", connected, "<?xml version='1.0'?>", strings.TrimPrefix(xmppraw.Header, "<?xml version='1.0'?>")},
		{"before login", opened, "", ""},
		{"in an element before login", opened, "<auth xmlns='" + xmppraw.NSSASL + "' mechanism='PLAIN'>", "</auth>"},
		{"before binding", authenticated, "", ""},
		{"between stanzas", bound, "<presence/>", "<presence/>"},
		{"in a stanza", bound, "<message to='" + victim + "'>", "</message>"},
		{"deep in a stanza", bound, "<message to='" + victim + "'><a><b>x", "</b></a></message>"},
		{"in a stanza over TLS", boundTLS, "<message to='" + victim + "'>", "</message>"},
	}
}

// TestRestrictedXML: what RFC 6120 section 11.1 forbids, in every place.
func TestRestrictedXML(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	features := []attack{
		{"comment", "<!-- x -->", "restricted-xml"},
		{"processing instruction", "<?php x?>", "restricted-xml"},
		{"document type", "<!DOCTYPE x>", "restricted-xml"},
		{"external subset", "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "restricted-xml"},
		{"internal subset", "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>", "restricted-xml"},
		{"entity declaration", "<!ENTITY a 'b'>", "restricted-xml"},
		{"element declaration", "<!ELEMENT a ANY>", "restricted-xml"},
	}
	inText := []attack{
		{"entity reference", "&lol;", "restricted-xml"},
		{"entity of HTML", "&nbsp;", "restricted-xml"},
		{"entity in upper case", "&AMP;", "restricted-xml"},
		{"parameter entity", "<![%x;[a]]>", "restricted-xml"},
		{"conditional section", "<![IGNORE[a]]>", "restricted-xml"},
		{"entity in an attribute", "<a b='&lol;'/>", "restricted-xml"},
		{"XML declaration", "<?xml version='1.0'?>", "restricted-xml"},
	}
	t.Run("attacks", func(t *testing.T) {
		for _, p := range places() {
			t.Run(p.name, func(t *testing.T) {
				all := append([]attack(nil), features...)
				if strings.Contains(p.name, "stanza") && p.name != "between stanzas" {
					all = append(all, inText...)
				}
				for i := range all {
					all[i].send = p.before + all[i].send + p.after
				}
				run(t, s, p.from, by, all)
			})
		}
	})
}

// malformed is what is no XML, or no XML with namespaces, in or between stanzas.
func malformed() []attack {
	in := func(x string) string { return "<message to='" + victim + "'>" + x + "</message>" }
	return []attack{
		{"unbalanced", "<message><a></message>", "not-well-formed"},
		{"end tag only", "</message>", "not-well-formed"},
		{"end of another stream", "</stream>", "not-well-formed"},
		{"overlapping", in("<a><b></a></b>"), "not-well-formed"},
		{"text between stanzas", "hello", "not-well-formed"},
		{"CDATA between stanzas", "<![CDATA[x]]>", "not-well-formed"},
		{"reference between stanzas", "&#32;", "not-well-formed"},
		{"attribute twice", "<message to='a' to='b'/>", "not-well-formed"},
		{"attribute twice by namespace", in("<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>"), "not-well-formed"},
		{"attribute without quotes", in("<a b=c/>"), "not-well-formed"},
		{"attribute without value", in("<a b/>"), "not-well-formed"},
		{"'<' in an attribute", in("<a b='<'/>"), "not-well-formed"},
		{"lone ampersand", in("a & b"), "not-well-formed"},
		{"end of CDATA in text", in("]]>"), "not-well-formed"},
		{"name with two colons", in("<a:b:c xmlns:a='u'/>"), "not-well-formed"},
		{"empty prefix", in("<:a/>"), "not-well-formed"},
		{"name with a digit first", in("<1/>"), "not-well-formed"},
		{"tag in a tag", "<message <a/>>", "not-well-formed"},
		{"no name", "<>", "not-well-formed"},
	}
}

func namespaces() []attack {
	in := func(x string) string { return "<message to='" + victim + "'>" + x + "</message>" }
	to := " to='" + victim + "'"
	return []attack{
		{"undeclared prefix", "<x:message/>", "bad-namespace-prefix"},
		{"undeclared prefix in a child", in("<x:a/>"), "bad-namespace-prefix"},
		{"undeclared prefix of an attribute", in("<a x:b='1'/>"), "bad-namespace-prefix"},
		{"prefix used outside its element", in("<a xmlns:x='u'/><x:b/>"), "bad-namespace-prefix"},
		{"prefix xmlns on an element", "<xmlns:a/>", "bad-namespace-prefix"},
		{"prefix xml redeclared", in("<a xmlns:xml='urn:x'/>"), "not-well-formed"},
		{"prefix xmlns declared", in("<a xmlns:xmlns='urn:x'/>"), "not-well-formed"},
		{"other prefix for xml", in("<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>"), "not-well-formed"},
		{"namespace of xmlns by reference", in("<a xmlns='http://www.w3.org/2000/xmln&#115;/'/>"), "not-well-formed"},
		{"prefix undeclared by an empty name", in("<a xmlns:x=''/>"), "not-well-formed"},
		{"default namespace undeclared", "<message xmlns=''" + to + "/>", "invalid-namespace"},
		{"stanza of a server", "<message xmlns='jabber:server'" + to + "/>", "invalid-namespace"},
		{"stanza of a component", "<iq xmlns='jabber:component:accept' id='1' type='get'" + to + "><a xmlns='b'/></iq>", "invalid-namespace"},
		{"stanza of the namespace by reference", "<message xmlns='jabber&#58;server'" + to + "/>", "invalid-namespace"},
		{"stanza of a prefixed foreign namespace", "<x:message xmlns:x='urn:x'" + to + "/>", "invalid-namespace"},
		{"stanza in the namespace of streams", "<stream:message" + to + "/>", "invalid-namespace"},
		{"prefix stream rebound", "<stream:message xmlns:stream='urn:x'" + to + "/>", "invalid-namespace"},
		{"a stream in a rebound prefix", "<stream:stream xmlns:stream='urn:x'>", "unsupported-stanza-type"},
		{"stanza with a prefix", "<c:message xmlns:c='jabber:client'" + to + "/>", "bad-namespace-prefix"},
		{"stanza with a prefix by reference", "<c:message xmlns:c='jabber&#58;client'" + to + "/>", "bad-namespace-prefix"},
		{"child with a prefix of the content namespace", in("<c:body xmlns:c='jabber:client'>x</c:body>"), "bad-namespace-prefix"},
		{"thousands of prefixes", "<message" + many(3000, " xmlns:p%d='u'") + "/>", "policy-violation"},
		{"prefixes by nesting", "<message>" + many(40, "<a xmlns:p%[1]d='u' xmlns:q%[1]d='u'>"), "policy-violation"},
	}
}

func sizes() []attack {
	in := func(x string) string { return "<message to='" + victim + "'>" + x + "</message>" }
	const huge = 400_000
	return []attack{
		{"20,000 levels", "<message to='" + victim + "'>" + strings.Repeat("<a>", 20_000) + strings.Repeat("</a>", 20_000) + "</message>", "policy-violation"},
		{"20,000 levels between stanzas", strings.Repeat("<message>", 20_000), "policy-violation"},
		{"attribute flood", in("<a" + many(20_000, " a%d='1'") + "/>"), "policy-violation"},
		{"attribute flood on a stanza", "<message" + many(1000, " a%d='1'") + "/>", "policy-violation"},
		{"endless name", "<" + strings.Repeat("a", huge), "policy-violation"},
		{"endless name of an attribute", "<message " + strings.Repeat("a", huge), "policy-violation"},
		{"endless prefix", "<" + strings.Repeat("a", huge) + ":b/>", "policy-violation"},
		{"endless value", "<message to='" + strings.Repeat("a", huge), "policy-violation"},
		{"endless text", "<message><body>" + strings.Repeat("a", huge), "policy-violation"},
		{"endless CDATA", "<message><body><![CDATA[" + strings.Repeat("a", huge), "policy-violation"},
		{"endless white space in a tag", "<message " + strings.Repeat(" ", huge), "policy-violation"},
		{"endless white space in a stanza", "<message>" + strings.Repeat(" ", huge), "policy-violation"},
		{"endless empty elements", "<message>" + strings.Repeat("<a/>", huge/4), "policy-violation"},
		{"endless reference", in("&#" + strings.Repeat("0", huge)), "policy-violation"},
		{"endless entity", in("&" + strings.Repeat("a", huge)), "restricted-xml"},
		{"stanza one byte too large", oversized(256<<10 + 1), "policy-violation"},
		{"end of the stream that does not end", "</stream:stream" + strings.Repeat(" ", huge), "policy-violation"},
	}
}

// oversized is a message of n bytes.
func oversized(n int) string {
	m := xmppraw.Message(victim, "")
	return xmppraw.Message(victim, strings.Repeat("a", n-len(m)))
}

// many repeats a format with numbers.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestHostileXML: what is malformed, out of its namespace or too large, in the clear and over TLS.
func TestHostileXML(t *testing.T) {
	for _, io := range []string{"loop", "goroutine"} { // the two ways to wait for clients
		t.Run(io, func(t *testing.T) {
			s := xmppraw.Start(t, func(c *xmppd.Config) { c.IO = io })
			by := chat(t, s)
			xmppraw.Online(t, s, "carol", "victim")
			t.Run("attacks", func(t *testing.T) {
				for name, from := range map[string]stage{"plain": bound, "TLS": boundTLS} {
					t.Run(name, func(t *testing.T) {
						run(t, s, from, by, malformed())
						run(t, s, from, by, namespaces())
						run(t, s, from, by, sizes())
					})
				}
			})
		})
	}
}

// TestSizeLimitIsExact: the largest stanza passes, so it was the limit that refused the larger one.
func TestSizeLimitIsExact(t *testing.T) {
	s := xmppraw.Start(t, func(c *xmppd.Config) { c.Limits.StanzaBytes = 20_000 })
	carol := xmppraw.Online(t, s, "carol", "victim")
	c := xmppraw.Login(t, s, "mallory", "r")
	c.Send(oversized(20_000))
	carol.Want("aaa</body></message>")
	c.Send(oversized(20_001))
	judge(t, c, "policy-violation")
}
