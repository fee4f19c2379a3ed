package stanza

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestJIDExamples are the tables of RFC 7622 section 3.5.
func TestJIDExamples(t *testing.T) {
	for in, want := range map[string]JID{
		"juliet@example.com":           {"juliet", "example.com", ""},
		"juliet@example.com/foo":       {"juliet", "example.com", "foo"},
		"juliet@example.com/foo bar":   {"juliet", "example.com", "foo bar"},
		"juliet@example.com/foo@bar":   {"juliet", "example.com", "foo@bar"},
		`foo\20bar@example.com`:        {`foo\20bar`, "example.com", ""},
		"fussball@example.com":         {"fussball", "example.com", ""},
		"fu\u00dfball@example.com":     {"fu\u00dfball", "example.com", ""},
		"\u03c0@example.com":           {"\u03c0", "example.com", ""},
		"\u03a3@example.com/foo":       {"\u03c3", "example.com", "foo"},
		"\u03c3@example.com/foo":       {"\u03c3", "example.com", "foo"},
		"\u03c2@example.com/foo":       {"\u03c2", "example.com", "foo"},
		"king@example.com/\u265a":      {"king", "example.com", "\u265a"},
		"example.com":                  {"", "example.com", ""},
		"example.com/foobar":           {"", "example.com", "foobar"},
		"a.example.com/b@example.net":  {"", "a.example.com", "b@example.net"},
		"\u200djuliet@example.com/x/y": {},
		// The table calls this one invalid, but the profile that section 3.4 names for resources
		// (OpaqueString) lets white space in, wherever it is.
		"juliet@example.com/ foo": {"juliet", "example.com", " foo"},
	} {
		if got, err := ParseJID(in); got != want || (err != nil) != (want == JID{}) {
			t.Errorf("%q: %+v %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		`"juliet"@example.com`, "foo bar@example.com", "@example.com/", "henry\u2163@example.com", "\u265a@example.com", "juliet@", "/foobar",
		// What preparation would turn into a separator (section 3.1, and 3.3.1 after mapping).
		"a\uff20b@example.com", "a\uff0fb@example.com", "a@b\uff0fc", "a@b\uff20c", "\u2100@example.com",
	} {
		if got, err := ParseJID(in); err == nil {
			t.Errorf("%q gave %+v", in, got)
		}
	}
}

// TestJIDForms: spellings that RFC 7622 makes equal, and some that it keeps apart.
func TestJIDForms(t *testing.T) {
	for _, forms := range [][]string{
		{"juliet@example.com/Balcony", "JULIET@EXAMPLE.COM/Balcony", "\uff4auliet@example.com/Balcony", "juliet@example.com./Balcony", "juliet@example\u3002com/Balcony"},
		{"caf\u00e9@example.com/caf\u00e9", "cafe\u0301@example.com/cafe\u0301", "CAFE\u0301@example.com/caf\u00e9"},
		{"a@b\u00fccher.example", "a@xn--bcher-kva.example", "A@B\u00dcCHER.example", "a@bu\u0308cher.example"},
		{"a@example.com/a b", "a@example.com/a\u00a0b", "a@example.com/a\u3000b"},
	} {
		want, err := ParseJID(forms[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range forms {
			if got, err := ParseJID(f); err != nil || got != want || got.String() != want.String() {
				t.Errorf("%q: %+v %v, want %+v", f, got, err, want)
			}
		}
	}
	if _, err := ParseJID("a@b\u2135.example"); err == nil { // ALEF SYMBOL, which becomes a letter written from the right
		t.Error("an address was accepted whose prepared form is refused")
	}
	if j, err := ParseJID("a@example\u3002"); err != nil || j.Domain != "example" {
		t.Errorf("ideographic full stop at the end: %+v %v", j, err)
	}
	for _, apart := range [][2]string{{"a@b/R", "a@b/r"}, {"a@b/\ufb01", "a@b/fi"}, {"fuss@b", "fu\u00df@b"}, {"a@b", "a@b/a"}} {
		x, err1 := ParseJID(apart[0])
		y, err2 := ParseJID(apart[1])
		if err1 != nil || err2 != nil || x == y {
			t.Errorf("%q and %q: %+v, %+v (%v, %v)", apart[0], apart[1], x, y, err1, err2)
		}
	}
}

// TestJIDStable: what has been enforced once stays as it is (RFC 8264 section 7 asks to make sure),
// and the parts come out as they went in.
func TestJIDStable(t *testing.T) {
	part := rapid.StringOfN(rapid.Rune(), 0, 6, -1)
	odd := rapid.SampledFrom([]string{"\u03a3", "\u0130", "\u1e9e", "\u0345", "\u1fb7", "e\u0301", "\u212b", "\uff21", "\u3000", "\u00df", "\u0660", "\u05d0", "\u200c", "a", "1", "\u0587", "\ufb01", "\u1100\u1161"})
	text := rapid.OneOf(part, rapid.Map(rapid.SliceOfN(odd, 0, 4), func(s []string) (out string) {
		for _, x := range s {
			out += x
		}
		return out
	}))
	rapid.Check(t, func(t *rapid.T) {
		in := text.Draw(t, "local") + "@" + rapid.SampledFrom([]string{"example.com", "b\u00fccher.example", "EXAMPLE", "\u05d0.example", "\u212b.example", "x\u2135", "b\uff0e"}).Draw(t, "domain") + "/" + text.Draw(t, "resource")
		j, err := ParseJID(in)
		if err != nil {
			return
		}
		again, err := ParseJID(j.String())
		if err != nil || again != j {
			t.Fatalf("%q: %+v, then %+v, %v", in, j, again, err)
		}
		if !utf8.ValidString(j.String()) || len(j.Local) > 1023 || len(j.Domain) > 1023 || len(j.Resource) > 1023 {
			t.Fatalf("%q: %+v", in, j)
		}
	})
}
