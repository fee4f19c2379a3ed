package stanza

import (
	"bytes"
	"testing"
)

// FuzzScanner: no input hurts, what is found does not depend on how it arrives,
// the spans lie where they should, and encoding/xml accepts what was accepted.
func FuzzScanner(f *testing.F) {
	f.Add([]byte(stream), 7)
	for _, bad := range violations {
		f.Add([]byte(bad[len(bad)-1][:min(len(bad[len(bad)-1]), 300)]), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		l := Limits{MaxStanza: 1 << 12, MaxDepth: 8, MaxAttrs: 8, MaxName: 32, MaxPrefixes: 8}
		want := scan(l, in, whole(in))
		if got := scan(l, in, func(int) int { return step }); got != want {
			t.Fatalf("in steps of %d:\n%s\nwant\n%s", step, got, want)
		}
		s := NewScanner(l)
		for rest := in; ; {
			st, n, err := s.Next(rest)
			if err != nil || n == 0 {
				return
			}
			rest = rest[n:]
			if st != nil {
				checkSpans(t, st)
			}
		}
	})
}

func checkSpans(t *testing.T, st *Stanza) {
	t.Helper()
	if st.NameEnd != st.Name.End || st.Raw[0] != '<' || st.Raw[len(st.Raw)-1] != '>' {
		t.Fatalf("name %v of %q", st.Name, st.Raw)
	}
	for _, a := range []Attr{st.To, st.From, st.Type, st.ID} {
		if !a.Present() {
			continue
		}
		cut := append(bytes.Clone(st.Raw[:a.Whole.Start]), st.Raw[a.Whole.End:]...)
		if c, n, err := NewScanner(Limits{}).Next(cut); err != nil || c == nil || n != len(cut) {
			t.Fatalf("%q without %q: %v", st.Raw, st.Get(a.Whole), err)
		}
	}
	if st.Child.Empty() != (st.Children == 0) {
		t.Fatalf("%d children, the first at %v, in %q", st.Children, st.Child, st.Raw)
	}
	if !st.Child.Empty() {
		p := Parse(st.Raw)
		p.Next()
		for p.Next() != Start {
		}
		if name := string(p.Name()); name != string(st.Get(st.ChildName)) || !st.ChildIs(string(st.childNS(&p)), name) || !bytes.Equal(p.Element(), st.Get(st.Child)) {
			t.Fatalf("child %q of %q", st.Get(st.Child), st.Raw)
		}
	}
}

// childNS is the parser's namespace of the child as far as the scanner tells it: not
// what is inherited by default or from the stream.
func (s *Stanza) childNS(p *Parser) []byte {
	if s.ChildNS.Empty() {
		return nil
	}
	return p.NS()
}

// FuzzParser: any bytes end, in no more events than bytes, without a panic.
func FuzzParser(f *testing.F) {
	f.Add([]byte(stream))
	f.Add([]byte("<a xmlns:b='c'><b:d e='f'/>g<![CDATA[h]]></a>"))
	f.Add([]byte("<a b='"))
	f.Add([]byte("</a><b"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p := Parse(in)
		events := 0
		for ev := p.Next(); ev != EOF; ev = p.Next() {
			if events++; events > 2*len(in)+2 {
				t.Fatal("more events than bytes")
			}
			_, _, _ = p.NS(), p.Name(), p.Text()
			_, _ = p.Attr("b")
			for {
				if _, _, ok := p.NextAttr(); !ok {
					break
				}
			}
			if p.Depth() < 0 {
				t.Fatal("depth below zero")
			}
		}
		for _, walk := range []func(p *Parser){(*Parser).Skip, func(p *Parser) { p.Element() }, func(p *Parser) { p.Content() }} {
			q := Parse(in)
			q.Next()
			walk(&q)
		}
	})
}
