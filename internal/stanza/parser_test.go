package stanza

import (
	"strings"
	"testing"
)

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

func TestParserSkipElementContent(t *testing.T) {
	p := Parse([]byte("<a><skip><b>1</b>2</skip><el x='1'><b/>3</el><c>4<d>5</d>&#54;<![CDATA[7]]></c><e/></a>"))
	next := func(name string, depth int) {
		t.Helper()
		if ev := p.Next(); ev != Start || string(p.Name()) != name || p.Depth() != depth {
			t.Fatalf("event %d of %s at depth %d, want the start of %s at %d", ev, p.Name(), p.Depth(), name, depth)
		}
	}
	next("a", 1)
	next("skip", 2)
	p.Skip()
	next("el", 2)
	if el := string(p.Element()); el != "<el x='1'><b/>3</el>" {
		t.Fatal(el)
	}
	if p.Element() != nil || p.Depth() != 1 {
		t.Fatal("an element behind its end")
	}
	p.Skip() // nothing has just started
	next("c", 2)
	if c := string(p.Content()); c != "467" {
		t.Fatal(c)
	}
	next("e", 2)
	if el := string(p.Element()); el != "<e/>" {
		t.Fatal(el)
	}
	if p.Next() != End || p.Depth() != 0 || p.Next() != EOF || p.Next() != EOF {
		t.Fatal("no end")
	}
}

func TestParserNamespaces(t *testing.T) {
	// More declarations than a Parser holds without allocating.
	doc := "<a" + many(10, " xmlns:%='u%'") + "><b xmlns:aa='in' xmlns='def'><aa:c/><aj:d/></b><aa:e/><f/><stream:g/></a>"
	doc = strings.ReplaceAll(doc, "'u%'", "'u'")
	p := Parse([]byte(doc))
	want := map[string]string{"a": "", "b": "def", "c": "in", "d": "u", "e": "u", "f": "", "g": NSStream}
	for ev := p.Next(); ev != EOF; ev = p.Next() {
		if ns := string(p.NS()); ns != want[string(p.Name())] {
			t.Errorf("event %d of %s: namespace %q, want %q", ev, p.Name(), ns, want[string(p.Name())])
		}
	}
}

func TestParserAttributes(t *testing.T) {
	p := Parse([]byte("<a\n x = '1\t2\r\n3&#10;' y=\"'&quot;\" xml:lang='de' e=''/>"))
	p.Next()
	for name, want := range map[string]string{"x": "1 2 3\n", "y": "'\"", "xml:lang": "de", "e": ""} {
		if v, ok := p.Attr(name); !ok || string(v) != want {
			t.Errorf("%s = %q %v, want %q", name, v, ok, want)
		}
	}
	if _, ok := p.Attr("lang"); ok {
		t.Error("a prefix was ignored")
	}
	p.Next()
	if _, ok := p.Attr("x"); ok {
		t.Error("the end of an element has attributes")
	}
}

func TestParserAllocatesNothing(t *testing.T) {
	raw := []byte("<ops xmlns='u' epoch='7'>" + strings.Repeat("<write tag='1' root='r'><put path='p'><v>QUJD</v></put></write>", 10) + "</ops>")
	if n := testing.AllocsPerRun(100, func() {
		p := Parse(raw)
		for ev := p.Next(); ev != EOF; ev = p.Next() {
			if ev == Start {
				_, _ = p.Attr("root")
				_, _ = p.NS(), p.Name()
			}
		}
	}); n > 0 {
		t.Fatalf("%v allocations", n)
	}
}
