package stanza

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestEscapedComesBack: any string goes through an attribute and through text; only
// what XML cannot carry changes.
func TestEscapedComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for _, r := range rapid.SliceOfN(rapid.OneOf(rapid.Rune(), rapid.RuneFrom([]rune("&<>'\"\r\n\t]\x00\x1f\ufffe "))), 0, 20).Draw(t, "runes") {
			b.WriteRune(r)
		}
		s := b.String() + rapid.SampledFrom([]string{"", "\xff", "\xc3", "\xed\xa0\x80"}).Draw(t, "tail")
		want := strings.Map(func(r rune) rune {
			if isXMLChar(r) {
				return r
			}
			return '\uFFFD'
		}, s)
		doc := append(AppendEscaped(append(AppendAttr([]byte("<a"), "b", s), '>'), []byte(s)), "</a>"...)
		if e := verdict(string(doc)); e != nil {
			t.Fatalf("%q: %v", doc, e)
		}
		if got, said := len(AppendEscaped(nil, s)), EscapedLen(s); got > said || got < said && utf8.ValidString(s) {
			t.Fatalf("%d bytes escaped, EscapedLen says %d", got, said)
		}
		p := Parse(doc)
		p.Next()
		if v, _ := p.Attr("b"); string(v) != want {
			t.Fatalf("attribute %q, want %q", v, want)
		}
		if v := p.Content(); string(v) != want {
			t.Fatalf("text %q, want %q", v, want)
		}
	})
}

func TestReplies(t *testing.T) {
	const service = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	for _, c := range []struct{ in, from, text, want, result string }{
		{
			in:     `<iq type="get" id="1&amp;'" from="a@b/c'd" to='e'><q xmlns='u'/></iq>`,
			want:   "<iq type='error' id='1&amp;&apos;' from='e' to='a@b/c&apos;d'>" + service + "</iq>",
			result: "<iq type='result' id='1&amp;&apos;' from='e' to='a@b/c&apos;d'><r/></iq>",
		},
		{
			in: "<iq type='set' id='2'/>", from: "me@x", text: "no <way>",
			want: "<iq type='error' id='2' from='me@x'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" +
				"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no &lt;way&gt;</text></error></iq>",
			result: "<iq type='result' id='2'><r/></iq>",
		},
		{in: "<message to='x'><body/></message>", want: "<message type='error' from='x'>" + service + "</message>"},
		{in: "<presence xmlns='jabber:client' from='y'/>", want: "<presence type='error' to='y'>" + service + "</presence>"},
		{in: "<message type='error' id='3'/>"},
		{in: "<iq type='result' id='4'/>"},
		{in: "<r xmlns='urn:xmpp:sm:3'/>"},
	} {
		st, _, err := NewScanner(Limits{}).Next([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		got := AppendError([]byte("+"), st, c.from, "cancel", "service-unavailable", c.text)
		if string(got) != "+"+c.want {
			t.Errorf("error of %s:\n%s\nwant\n%s", c.in, got, c.want)
		}
		if c.want != "" {
			if e := verdict(string(got[1:])); e != nil {
				t.Errorf("%s: %v", got, e)
			}
		}
		if c.result != "" {
			if got := AppendIQResult(nil, st, []byte("<r/>")); string(got) != c.result {
				t.Errorf("result of %s:\n%s\nwant\n%s", c.in, got, c.result)
			}
			if got := AppendIQResult(nil, st, nil); string(got) != strings.Replace(c.result, "><r/></iq>", "/>", 1) {
				t.Errorf("empty result of %s: %s", c.in, got)
			}
		}
	}
}
