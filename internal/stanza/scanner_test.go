package stanza

import (
	"errors"
	"strings"
	"testing"
)

const whole = " \n<message to='a@b/c' from=\"x@y\" type='chat' id='1&amp;2'><body>h&lt;i</body><x:e xmlns:x='u' x:a='1'/></message>" +
	"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq><presence/>" +
	"<message xmlns='jabber:client'><![CDATA[<a>]]]]><b xmlns='c'><b/></b></message>\n<r xmlns='urn:xmpp:sm:3'/></stream:stream>"

func scanAll(t *testing.T, in string, step int) (out []string) {
	t.Helper()
	s := NewScanner(Limits{})
	var buf []byte
	for i := 0; i < len(in); i += step {
		buf = append(buf, in[i:min(len(in), i+step)]...)
		for {
			st, n, err := s.Next(buf)
			if err != nil {
				t.Fatal(err)
			}
			if st != nil {
				out = append(out, string(st.Raw)+"|"+string(st.Get(st.Child))+"|"+string(st.Get(st.ChildName))+"|"+string(st.Get(st.ChildNS))+"|"+st.AttrString(st.ID)+st.AttrString(st.To))
			}
			buf = buf[n:]
			if n == 0 {
				break
			}
		}
	}
	return out
}

func TestScannerIsTheSameHoweverTheBytesArrive(t *testing.T) {
	want := scanAll(t, whole, len(whole))
	if len(want) != 6 {
		t.Fatalf("%d elements: %q", len(want), want)
	}
	for step := 1; step < 40; step++ {
		if got := scanAll(t, whole, step); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("step %d:\n%q\nwant\n%q", step, got, want)
		}
	}
}

func TestScannerErrors(t *testing.T) {
	for in, want := range map[string]string{
		"x":                                  "not-well-formed",
		"<?xml version='1.0'?>":              "restricted-xml",
		"<!-- c -->":                         "restricted-xml",
		"<!DOCTYPE a>":                       "restricted-xml",
		"<a><!-- c --></a>":                  "restricted-xml",
		"<a>&foo;</a>":                       "restricted-xml",
		"<a b='1' b='2'/>":                   "not-well-formed",
		"<a></b>":                            "not-well-formed",
		"<x:a/>":                             "bad-namespace-prefix",
		"<a x:b='1'/>":                       "bad-namespace-prefix",
		"<a>\xff</a>":                        "unsupported-encoding",
		"<a>\x01</a>":                        "not-well-formed",
		"<a b=1/>":                           "not-well-formed",
		"<a b='<'/>":                         "not-well-formed",
		"<a>]]></a>":                         "not-well-formed",
		"</a>":                               "not-well-formed",
		"<a b='1'c='2'/>":                    "not-well-formed",
		strings.Repeat("<a>", 200):           "policy-violation",
		"<a>" + strings.Repeat("x", 300<<10): "policy-violation",
		"<" + strings.Repeat("a", 300) + ">": "policy-violation",
	} {
		_, err := scanErr(in)
		var e *Error
		if !errors.As(err, &e) || e.Condition != want {
			t.Errorf("%.40q: %v, want %s", in, err, want)
		}
	}
}

func scanErr(in string) (int, error) {
	s := NewScanner(Limits{})
	buf := []byte(in)
	for {
		_, n, err := s.Next(buf)
		if err != nil || n == 0 {
			return n, err
		}
		buf = buf[n:]
	}
}

func TestParserWalks(t *testing.T) {
	p := Parse([]byte("<a xmlns='n1' k='v&apos;'>t<b:c xmlns:b='n2'/><d>x<![CDATA[<y>]]>z</d></a>"))
	var got []string
	for ev := p.Next(); ev != EOF; ev = p.Next() {
		switch ev {
		case Start:
			k, _ := p.Attr("k")
			got = append(got, "S"+string(p.Name())+"/"+string(p.NS())+"/"+string(k))
		case End:
			got = append(got, "E"+string(p.Name())+"/"+string(p.NS()))
		case Text:
			got = append(got, "T"+string(p.Text()))
		}
	}
	want := "Sa/n1/v' Tt Sc/n2/ Ec/n2 Sd/n1/ Tx T<y> Tz Ed/n1 Ea/n1"
	if strings.Join(got, " ") != want {
		t.Fatalf("%q", got)
	}
}

func TestScannerAllocatesNothing(t *testing.T) {
	in := []byte("<message to='a@b/c' type='chat'><body>" + strings.Repeat("x", 300) + "</body></message>")
	s := NewScanner(Limits{})
	if n := testing.AllocsPerRun(100, func() { _, _, _ = s.Next(in) }); n > 0 {
		t.Fatalf("%v allocations a stanza", n)
	}
}

func BenchmarkScanner(b *testing.B) {
	in := []byte("<message to='juliet@example.org/balcony' type='chat' id='m1'><body>" + strings.Repeat("x", 310) + "</body></message>")
	s := NewScanner(Limits{})
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		_, _, _ = s.Next(in)
	}
}
