package stanza

import (
	"errors"
	"strings"
	"testing"
)

// scanErr returns the error that ends the stream in, nil if none does.
func scanErr(t testing.TB, l Limits, in string) *Error {
	t.Helper()
	s := NewScanner(l)
	for buf := []byte(in); ; {
		_, n, err := s.Next(buf)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%.60q: %v is no *Error", in, err)
			}
			if _, _, again := s.Next(buf); again == nil || again.Error() != err.Error() {
				t.Fatalf("%.60q: the error is not final: %v, then %v", in, err, again)
			}
			return e
		}
		if n == 0 {
			return nil
		}
		buf = buf[n:]
	}
}

// The conditions of RFC 6120, section 4.9.3, that bytes alone can bring about.
var violations = map[string][]string{
	"not-well-formed": {
		"x", "<a/>x", "&amp;", "\x00", "\ufeff<a/>",
		"</a>", "</>", "<a></b>", "<a></aa>", "<aa></a>", "<a></a b='1'>", "<a></a/>", "<a></ a>", "</stream:stream x>", "</stream>",
		"< a/>", "<1/>", "<-a/>", "<a<b/>", "<>", "<a/ >", "<a//>", "<a /b>", "<=/>", "<é×/>", "<a·/><·a/>",
		"<:a/>", "<a:/>", "<a:b:c/>", "<a xmlns:a='u'><a:1/></a>", "<a :b='1'/>", "<a b:='1'/>",
		"<a b/>", "<a b=1/>", "<a b c='1'/>", "<a b=>", "<a b='1'c='2'/>", "<a 'b'/>", "<a ='1'/>", "<a b='<'/>", "<a b='\x01'/>", "<a b='1\"/><c d='/>",
		"<a b='1' b='2'/>", "<a b='1' c='2' b=''/>", "<a xmlns='u' xmlns='u'/>",
		"<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", "<a xmlns:x='u&amp;' xmlns:y='u&#38;' x:b='1' y:b='2'/>",
		"<a xmlns:s='" + NSStream + "' s:b='1' stream:b='2'/>",
		"<a xmlns:x=''/>", "<a xmlns:xmlns='u'/>", "<a xmlns:xml='u'/>", "<a xmlns:x='" + nsXML + "'/>", "<a xmlns:x='" + nsXMLNS + "'/>",
		"<a xmlns='" + nsXML + "'/>", "<a xmlns='" + nsXMLNS + "'/>", "<a xmlns='http://www.w3.org/2000/xmln&#115;/'/>",
		"<a>\x01</a>", "<a>\x0b</a>", "<a>\uffff</a>", "<a>\ufffe</a>", "<a><![CDATA[\x1f]]></a>", "<a><![CDATA[\uffff]]></a>",
		"<a>]]></a>", "<a>]]]></a>", "<a>x]]>",
		"<a>& </a>", "<a>&;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>&#xg;</a>", "<a>&#X41;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#xFFFF;</a>",
		"<a>&#x110000;</a>", "<a>&#99999999999;</a>", "<a>&amp</a>", "<a>&#38</a>", "<a b='&'/>", "<a b='& '/>", "<a>&-a;</a>", "<a>&1;</a>",
	},
	"restricted-xml": { // section 11.1
		"<?xml version='1.0'?>", "<?pi?>", "<a><?pi x?></a>",
		"<!-- c -->", "<a><!-- c --></a>", "<!x", "<!DOCTYPE a>", "<!ENTITY a 'b'>", "<a><!ELEMENT a></a>", "<a><![IGNORE[x]]></a>", "<a><![cdata[x]]></a>",
		"<a>&foo;</a>", "<a b='&foo;'/>", "<a>&nbsp;</a>", "<a>&AMP;</a>", "<a>&ampx;</a>", "<a>&é;</a>", "<a>&" + strings.Repeat("x", 40) + ";</a>",
	},
	"bad-namespace-prefix": {
		"<x:a/>", "<a x:b='1'/>", "<a><x:b/></a>", "<a><b xmlns:x='u'/><x:c/></a>", "<a xmlns:x='u'/><x:a/>", "<a xmlns:x='u'><b/></a><a x:b='1'/>",
		"<xmlns:a/>", "<X:a xmlns:x='u'/>", "<c:iq xmlns:c='jabber:client'/>", "<a xmlns:c='jabber&#58;client'><c:b/></a>",
	},
	"unsupported-encoding": {
		"<a>\xff</a>", "<a>\xc0\x80</a>", "<a>\xed\xa0\x80</a>", "<a>\xf4\x90\x80\x80</a>", "<a>\xe2\x82</a>", "<a>\x80</a>", "<a b='\xff'/>", "<a\xff/>", "<\xff/>", "<a><![CDATA[\xfe]]></a>",
	},
	"unsupported-stanza-type": {
		"<stream:stream xmlns:stream='" + NSStream + "'>", "<stream:stream>",
	},
	"policy-violation": {
		strings.Repeat("<a>", 129), "<a>" + strings.Repeat("x", DefaultMaxStanza), "<a>" + strings.Repeat(" ", DefaultMaxStanza), "<a " + strings.Repeat(" ", DefaultMaxStanza),
		"<a>" + strings.Repeat("<b/>", DefaultMaxStanza/4), "<a b='" + strings.Repeat("x", DefaultMaxStanza), "<a><![CDATA[" + strings.Repeat("]", DefaultMaxStanza), "</stream:stream" + strings.Repeat(" ", DefaultMaxStanza),
		"<" + strings.Repeat("a", 257), "<a " + strings.Repeat("b", 257), "<a>&#" + strings.Repeat("0", 40) + "65;</a>",
		"<a" + many(65, " a%='1'") + "/>", "<a" + many(40, " xmlns:a%='u'") + "><b" + many(25, " xmlns:b%='u'") + "/></a>",
	},
}

// many repeats s n times with % replaced by different letters.
func many(n int, s string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(s, "%", string([]byte{byte('a' + i/26), byte('a' + i%26)}), 1))
	}
	return b.String()
}

func TestScannerRefuses(t *testing.T) {
	for condition, inputs := range violations {
		for _, in := range inputs {
			if e := scanErr(t, Limits{}, in); e == nil || e.Condition != condition || e.Text == "" {
				t.Errorf("%.80q: %v, want %s", in, e, condition)
			}
		}
	}
}

func TestScannerAccepts(t *testing.T) {
	for _, in := range []string{
		"", " \r\n\t", "<a/>", "<a />", "<a></a>", "<a></a \n>", "<a\n\tb = 'x'\r\nc=\"'\"\n/>", "<a b='>' c='\"'>></a>", "<é ü='ß'/>", "<a-b.c_1/>", "<a·/>",
		"<a>]]</a>", "<a>]</a>", "<a>]]&gt;</a>", "<a b=']]>'/>", "<a>\t\r\n</a>", "<a b='\t\r\n'/>", "<a>\x7f\u0085\U0010fffd</a>",
		"<a>&amp;&lt;&gt;&apos;&quot;&#65;&#x1F600;&#x0000041;</a>", "<a b='&amp;&lt;&gt;&apos;&quot;&#9;'/>",
		"<a><![CDATA[]]></a>", "<a><![CDATA[<b>&foo;]]]]></a>", "<a><![CDATA[x]]]></a>", "<a><![CDATA[]>]]]]><![CDATA[>]]></a>",
		"<x:a xmlns:x='u'><x:b x:c='1' c='2'/></x:a>", "<a xmlns:x='u' xmlns:y='v' x:b='1' y:b='2'/>", "<a xml:lang='en'/>", "<a xmlns:xml='" + nsXML + "'/>",
		"<a xmlns:x='u'><b xmlns:x='v'><x:c/></b><x:d/></a>", "<a xmlns=''/>", "<stream:error/>", "<stream:features xmlns:stream='" + NSStream + "'/>", "<a><stream:stream/></a>",
		"</stream:stream>", "</stream:stream >", "<a/></stream:stream>",
		strings.Repeat("<a>", 128) + strings.Repeat("</a>", 128), "<" + strings.Repeat("a", 256) + "/>", "<a" + many(64, " a%='1'") + "/>",
		"<a>" + strings.Repeat("x", DefaultMaxStanza-7) + "</a>", strings.Repeat(" ", 2*DefaultMaxStanza) + "<a/>",
		"<a>" + strings.Repeat("<b"+many(64, " xmlns:b%='u'")+"/>", 3) + "</a>",
	} {
		if e := scanErr(t, Limits{}, in); e != nil {
			t.Errorf("%.80q: %v", in, e)
		}
		s := NewScanner(Limits{})
		buf, found := []byte(in), 0
		for len(buf) > 0 {
			st, n, err := s.Next(buf)
			if err != nil || n == 0 {
				t.Errorf("%.80q: stuck %d bytes before the end", in, len(buf))
				break
			}
			if buf = buf[n:]; st != nil {
				found++
			}
		}
		if found == 0 && strings.TrimSpace(in) != "" {
			t.Errorf("%.80q: nothing found", in)
		}
	}
}

func TestLimitsAreExact(t *testing.T) {
	l := Limits{MaxStanza: 40, MaxDepth: 2, MaxAttrs: 1, MaxName: 4, MaxPrefixes: 1}
	for in, ok := range map[string]bool{
		"<a>" + strings.Repeat("x", 33) + "</a>": true,
		"<a>" + strings.Repeat("x", 34) + "</a>": false,
		"<a><b></b></a>":                         true,
		"<a><b><c/></b></a>":                     false,
		"<a b='1'/>":                             true,
		"<a b='1' c='2'/>":                       false,
		"<abcd/>":                                true,
		"<abcde/>":                               false,
		"<a><abcde/>":                            false,
		// The name xmlns:x is too long.
		"<a xmlns:x='u'/>":                          false,
		strings.Repeat(" ", 50) + "<a>xxxxxxxx</a>": true,
	} {
		e := scanErr(t, l, in)
		if ok != (e == nil) || e != nil && e.Condition != "policy-violation" {
			t.Errorf("%q: %v, want ok=%v", in, e, ok)
		}
	}
}

func TestCheckHeader(t *testing.T) {
	open := "<stream:stream xmlns='" + NSClient + "' xmlns:stream='" + NSStream + "' to='a'"
	for tag, want := range map[string]string{
		open + ">":                         "",
		open + " xml:lang='en' b='>'\n >":  "",
		"<s:stream xmlns:s='u'>":           "",
		"<stream:stream>":                  "bad-namespace-prefix",
		"<stream xmlns:a='u' stream:b=''>": "bad-namespace-prefix",
		open + "/>":                        "bad-format",
		open:                               "not-well-formed",
		open + "></stream:stream>":         "not-well-formed",
		open + " to='b'>":                  "not-well-formed",
		open + " xmlns:xml='u'>":           "not-well-formed",
		open + " b='&c;'>":                 "restricted-xml",
		open + " b='\xff'>":                "unsupported-encoding",
		open + many(65, " a%='1'") + ">":   "policy-violation",
		"":                                 "not-well-formed",
		"x":                                "not-well-formed",
		"<!DOCTYPE x>":                     "restricted-xml",
		open + strings.Repeat(" ", DefaultMaxStanza) + ">": "policy-violation",
	} {
		err := CheckHeader([]byte(tag), Limits{})
		var e *Error
		switch {
		case want == "" && err != nil, want != "" && (!errors.As(err, &e) || e.Condition != want):
			t.Errorf("%.100q: %v, want %q", tag, err, want)
		}
	}
}
