package stanza

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"mellium.im/xmpp/jid"
)

// laxities are words of the scanner's refusals where encoding/xml is known to accept.
func laxities() []string {
	return []string{
		"given twice", "white space belongs", "reserved", "without a namespace", "more than one element", "text between stanzas",
		"malformed qualified name", "malformed name", "']]>'", "U+FFF", "invalid UTF-8", "unfinished", "malformed reference",
	}
}

// FuzzDifferential: of any bytes as one element, the scanner accepts none that encoding/xml
// refuses, refuses as malformed none that it accepts, and the parser sees in them what it sees.
func FuzzDifferential(f *testing.F) {
	for _, seed := range []string{
		"<a/>", "<message to='b@c' xml:lang='de'><body>x &lt; &#x1F600;\r\n</body></message>", "<p:a xmlns:p='u' p:b='1' b=\"2\"><c xmlns='v'/>t<![CDATA[<&]]]></p:a>",
		"<a xmlns='u'><b xmlns=''><c/></b></a>", "<a  b = 'x&#10;y\tz' />", "<é ü='ß'>]]</é >", "<a><p:b xmlns:p='1'><p:c xmlns:p='2'/><p:d/></p:b></a>",
		"<a b='>'>></a>", "<a></b>", "<a><!-- x --></a>", "<a>&foo;</a>", "<x:a/>", "<a xmlns:stream='u'><stream:b/></a>", "<a b='1' b='2'/>",
	} {
		f.Add(seed)
	}
	for _, bad := range violations {
		for _, in := range bad {
			if len(in) < 300 {
				f.Add(in)
			}
		}
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if strings.Contains(doc, "<stream:") || strings.Contains(doc, "</stream:stream") {
			return // only the scanner knows what the stream's header declares
		}
		want, err := byXML(doc)
		e := verdict(doc)
		switch {
		case e == nil && err != nil:
			// Its names are those of XML 1.0's fourth edition, with fewer characters.
			if !strings.Contains(err.Error(), "invalid XML name") && !strings.Contains(err.Error(), "expected") && !strings.Contains(err.Error(), "attribute name") || isASCII(doc) {
				t.Fatalf("accepted %q, encoding/xml says %v", doc, err)
			}
		case e == nil:
			if got := byParser(strings.Trim(doc, " \t\r\n")); got != strings.TrimSpace(want)+" " && got != want && byParser(doc) != want {
				t.Fatalf("%q:\n%s\nwant\n%s", doc, got, want)
			}
		case err == nil && e.Condition == "not-well-formed" && strings.TrimSpace(doc) != "":
			for _, l := range laxities() {
				if strings.Contains(e.Text, l) {
					return
				}
			}
			t.Fatalf("refused %q: %v", doc, e)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// FuzzCheckHeader: what opens a stream is, but for its missing end and the prefix stream, an
// element that a scanner accepts, and encoding/xml agrees.
func FuzzCheckHeader(f *testing.F) {
	f.Add([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a' version='1.0'>"))
	f.Add([]byte("<s:stream xmlns:s='u' xml:lang='&#100;e' b='>'\n>"))
	f.Add([]byte("<a b='1' b='2'>"))
	f.Add([]byte("<stream:stream>"))
	f.Add([]byte("<a><b>"))
	f.Fuzz(func(t *testing.T, tag []byte) {
		l := Limits{MaxStanza: 1 << 10, MaxAttrs: 8, MaxName: 32, MaxPrefixes: 8}
		err := CheckHeader(tag, l)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.Condition == "" {
				t.Fatalf("%q: %v is no stream error", tag, err)
			}
			return
		}
		if tag[len(tag)-1] != '>' || tag[0] != '<' {
			t.Fatalf("accepted %q", tag)
		}
		element := append(bytes.Clone(tag[:len(tag)-1]), "/>"...)
		if st, n, err := NewScanner(Limits{}).Next(element); (err != nil || st == nil || n != len(element)) && !bytes.HasPrefix(tag, []byte("<stream:stream")) && !strings.Contains(err.Error(), "no prefix") {
			t.Fatalf("accepted %q, a scanner says %v", tag, err)
		}
		if _, err := byXML(string(element)); err != nil && isASCII(string(tag)) {
			t.Fatalf("accepted %q, encoding/xml says %v", tag, err)
		}
	})
}

// FuzzJID: an address that is accepted stays what it is when it is written and read again, its
// parts are within their bounds, and mellium's is the same.
func FuzzJID(f *testing.F) {
	for _, s := range []string{"a@b/c", "b", "b/c@d/e", "A@B.C./D", "fußball@straße.example", "a@[::1]/r", "a@127.0.0.1", "x@xn--e1afmkfd.xn--p1ai", "ΣΤΆΣΙΣ@b", "a@b/ r ", "@", "/", "a@@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := ParseJID(s)
		if err != nil {
			return
		}
		for part, v := range map[string]string{"local": j.Local, "domain": j.Domain, "resource": j.Resource} {
			if len(v) > 1023 || !utf8.ValidString(v) || part == "domain" && v == "" {
				t.Fatalf("%q has the %s %q", s, part, v)
			}
		}
		again, err := ParseJID(j.String())
		if err != nil || again != j {
			t.Fatalf("%q gave %q, and that %q, %v", s, j, again, err)
		}
		m, err := jid.Parse(j.String())
		if err != nil || m.String() != j.String() {
			t.Fatalf("%q gave %q, mellium says %q, %v", s, j, m, err)
		}
	})
}

// FuzzEscaped: any text, escaped, is one text and one value of a stanza, and reads as what it was
// but for characters that XML has not.
func FuzzEscaped(f *testing.F) {
	f.Add("a<b>&'\"\r\n\t]]>\x00\xff\u00e9\uffff")
	f.Fuzz(func(t *testing.T, s string) {
		raw := AppendEscaped(AppendAttr([]byte("<a"), "b", s), "")
		raw = append(AppendEscaped(append(raw, '>'), s), "</a>"...)
		if e := verdict(string(raw)); e != nil && e.Condition != "policy-violation" {
			t.Fatalf("%q made %q: %v", s, raw, e)
		}
		want := strings.Map(func(r rune) rune {
			if r == utf8.RuneError || !isXMLChar(r) {
				return utf8.RuneError
			}
			return r
		}, s)
		p := Parse(raw)
		p.Next()
		if v, _ := p.Attr("b"); string(v) != want {
			t.Fatalf("%q as a value reads %q", s, v)
		}
		if text := string(p.Content()); text != want {
			t.Fatalf("%q as text reads %q", s, text)
		}
	})
}
