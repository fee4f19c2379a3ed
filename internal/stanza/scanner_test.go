package stanza

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// found renders everything that a Stanza says.
func found(st *Stanza) string {
	return fmt.Sprintf("%v %s name=%s/%d to=%s|%s from=%s type=%s id=%s child=%s %s %s\n", st.Kind, st.Raw, st.Get(st.Name), st.NameEnd,
		st.AttrString(st.To), st.Get(st.To.Whole), st.AttrString(st.From), st.AttrString(st.Type), st.AttrString(st.ID),
		st.Get(st.Child), st.Get(st.ChildName), st.Get(st.ChildNS))
}

// scan feeds in to a scanner in the pieces that cut gives, moving the buffer each
// time, and renders what it found and how it ended.
func scan(l Limits, in []byte, cut func(i int) int) string {
	var out strings.Builder
	s := NewScanner(l)
	var rest []byte
	for i := 0; i < len(in); {
		n := min(len(in)-i, max(1, cut(i)))
		rest = append(bytes.Clone(rest), in[i:i+n]...)
		i += n
		for {
			st, n, err := s.Next(rest)
			if err != nil {
				fmt.Fprintf(&out, "%v\n", err)
				return out.String()
			}
			rest = rest[n:]
			if st != nil {
				out.WriteString(found(st))
			} else if n == 0 {
				break
			}
			if len(rest) == 0 {
				break
			}
		}
	}
	return out.String()
}

func whole(in []byte) func(int) int { return func(int) int { return len(in) } }

const stream = " \n<message to='a@b/c' from=\"x@y\" type='chat' id='1&amp;2'><body>h&lt;i é\U0001F600</body><x:e xmlns:x='u' x:a='1'/></message>" +
	"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq><presence/>" +
	"<message xmlns='jabber:client'><![CDATA[<a>]]]]><b xmlns='c'><b/></b></message>\n<iq xmlns:d='e'><d:q/></iq>" +
	"<message xmlns='other' ünd='1'/><r xmlns='urn:xmpp:sm:3'/><stream:error/></stream:stream>"

func TestScannerFinds(t *testing.T) {
	in := []byte(stream)
	want := []string{
		"message <message to='a@b/c' from=\"x@y\" type='chat' id='1&amp;2'><body>h&lt;i é\U0001F600</body><x:e xmlns:x='u' x:a='1'/></message> name=message/8" +
			" to=a@b/c| to='a@b/c' from=x@y type=chat id=1&2 child=<body>h&lt;i é\U0001F600</body> body ",
		"iq <iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq> name=iq/3 to=| from= type=get id=p child=<ping xmlns='urn:xmpp:ping'/> ping urn:xmpp:ping",
		"presence <presence/> name=presence/9 to=| from= type= id= child=  ",
		"message <message xmlns='jabber:client'><![CDATA[<a>]]]]><b xmlns='c'><b/></b></message> name=message/8 to=| from= type= id= child=<b xmlns='c'><b/></b> b c",
		"iq <iq xmlns:d='e'><d:q/></iq> name=iq/3 to=| from= type= id= child=<d:q/> q e",
		"nonza <message xmlns='other' ünd='1'/> name=message/8 to=| from= type= id= child=  ",
		"nonza <r xmlns='urn:xmpp:sm:3'/> name=r/2 to=| from= type= id= child=  ",
		"nonza <stream:error/> name=stream:error/13 to=| from= type= id= child=  ",
		"end of stream </stream:stream> name=stream:stream/15 to=| from= type= id= child=  ",
	}
	if got := scan(Limits{}, in, whole(in)); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("got\n%swant\n%s", got, strings.Join(want, "\n"))
	}
}

// TestSplitAtEveryByte: what is found does not depend on how the bytes arrive.
func TestSplitAtEveryByte(t *testing.T) {
	inputs := []string{stream}
	for _, bad := range violations {
		for _, in := range bad {
			if len(in) < 1000 {
				inputs = append(inputs, "<a/>"+in)
			}
		}
	}
	for _, in := range inputs {
		b := []byte(in)
		want := scan(Limits{}, b, whole(b))
		for at := 1; at < len(b); at++ {
			if got := scan(Limits{}, b, func(i int) int {
				if i == 0 {
					return at
				}
				return len(b)
			}); got != want {
				t.Fatalf("%q split at %d:\n%s\nwant\n%s", in, at, got, want)
			}
		}
		if got := scan(Limits{}, b, func(int) int { return 1 }); got != want {
			t.Fatalf("%q byte by byte:\n%s\nwant\n%s", in, got, want)
		}
	}
}

// TestSplitAnyhow does the same for random streams, most of them broken
// somewhere, in random pieces and under small limits.
func TestSplitAnyhow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := []byte(damaged(t, document(t)+document(t)+"</stream:stream>"))
		l := Limits{
			MaxStanza: rapid.SampledFrom([]int{0, 50, 200}).Draw(t, "maxStanza"), MaxDepth: rapid.IntRange(2, 5).Draw(t, "depth"),
			MaxAttrs: rapid.IntRange(1, 5).Draw(t, "attrs"), MaxName: rapid.IntRange(6, 12).Draw(t, "name"),
		}
		pieces := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 20).Draw(t, "pieces")
		want := scan(l, in, whole(in))
		if got := scan(l, in, func(i int) int { return pieces[i%len(pieces)] }); got != want {
			t.Fatalf("in pieces:\n%s\nwant\n%s", got, want)
		}
	})
}

// TestDripIsLinear: one byte at a time must not cost the square of the length.
func TestDripIsLinear(t *testing.T) {
	name := strings.Repeat("n", 250)
	for what, in := range map[string]string{
		"text": "<a>" + strings.Repeat("x", 250<<10) + "</a>", "value": "<a b='" + strings.Repeat("é", 120<<10) + "'/>", "space": "<a" + strings.Repeat(" ", 250<<10) + "/>",
		"cdata": "<a><![CDATA[" + strings.Repeat("]", 250<<10) + "]]></a>", "names": "<a>" + strings.Repeat("<"+name+"></"+name+">", 500) + "</a>",
		"prefixes": "<a" + many(60, " xmlns:a%='u'") + ">" + strings.Repeat("<aaa:b/>", 30<<10) + "</a>",
	} {
		begin := time.Now()
		s := NewScanner(Limits{})
		b := []byte(in)
		for i := 1; i <= len(b); i++ {
			st, _, err := s.Next(b[:i])
			if err != nil || (st != nil) != (i == len(b)) {
				t.Fatalf("%s: at byte %d of %d: %v %v", what, i, len(b), st != nil, err)
			}
		}
		// A quarter of a million steps take milliseconds; their square half a minute.
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("%s: %v", what, d)
		}
	}
}

func TestScannerKeepsLittle(t *testing.T) {
	s := NewScanner(Limits{})
	for _, in := range []string{
		strings.Repeat("<a"+many(30, " a%='1'")+" xmlns:x='u'>", 60) + strings.Repeat("</a>", 60),
		"<a>" + strings.Repeat("<b xmlns:x='u'/>", 10<<10) + "</a>",
	} {
		if st, _, err := s.Next([]byte(in)); st == nil || err != nil {
			t.Fatal(err)
		}
	}
	if cap(s.stack) > 2*DefaultMaxDepth || cap(s.attrs) > 2*DefaultMaxAttrs || cap(s.binds) > 2*DefaultMaxPrefixes {
		t.Errorf("kept %d frames, %d attributes, %d prefixes", cap(s.stack), cap(s.attrs), cap(s.binds))
	}
}

func TestScannerAllocatesNothing(t *testing.T) {
	in := []byte(stream)
	s := NewScanner(Limits{})
	scanOnce := func() {
		for rest := in; len(rest) > 0; {
			_, n, err := s.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}
	scanOnce()
	if n := testing.AllocsPerRun(100, scanOnce); n > 0 {
		t.Fatalf("%v allocations a stream of 9 elements", n)
	}
}

func TestChildIs(t *testing.T) {
	for in, want := range map[string]bool{
		"<iq><q xmlns='u&amp;v'/></iq>":                 true,
		"<iq><x:q xmlns:x='&#117;&amp;v'/></iq>":        true,
		"<iq xmlns:x='u&amp;v'><x:q/></iq>":             true,
		"<iq><q xmlns='u'/></iq>":                       false,
		"<iq><r xmlns='u&amp;v'/></iq>":                 false,
		"<iq/>":                                         false,
		"<iq><q/><q xmlns='u&amp;v'/></iq>":             false,
		"<iq xmlns:x='u'><x:q xmlns:x='z'/></iq>":       false,
		"<iq type='&#103;et'><q xmlns='u&#38;v'/></iq>": true,
	} {
		st, _, err := NewScanner(Limits{}).Next([]byte(in))
		if err != nil || st.ChildIs("u&v", "q") != want {
			t.Errorf("%s: %v %v", in, err, !want)
		}
	}
}
