package stanza

import (
	"slices"
	"testing"
)

func TestElements(t *testing.T) {
	st, err := One([]byte("<message xmlns:p='urn:p' to='a'>text<body>b<x/></body> <p:a by='1'/><b xmlns='urn:b'><c/></b><p:a by='2'>t</p:a></message>"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for c := range st.Elements() {
		got = append(got, string(c.NS)+" "+string(c.Name)+" "+string(st.Get(c.Span)))
	}
	want := []string{" body <body>b<x/></body>", "urn:p a <p:a by='1'/>", "urn:b b <b xmlns='urn:b'><c/></b>", "urn:p a <p:a by='2'>t</p:a>"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	without := st.Without(func(c Element) bool { return string(c.NS) == "urn:p" })
	if want := "<message xmlns:p='urn:p' to='a'>text<body>b<x/></body> <b xmlns='urn:b'><c/></b></message>"; string(without) != want {
		t.Errorf("got %s, want %s", without, want)
	}
	if same := st.Without(func(Element) bool { return false }); &same[0] != &st.Raw[0] {
		t.Error("nothing to drop: a copy was made")
	}
}

func TestAppendInside(t *testing.T) {
	for raw, want := range map[string]string{
		"<message/>":                      "<message><n/></message>",
		"<message to='a/b' />":            "<message to='a/b' ><n/></message>",
		"<c:message xmlns:c='urn:c' />":   "<c:message xmlns:c='urn:c' ><n/></c:message>",
		"<message></message>":             "<message><n/></message>",
		"<message a='/'><b/></message  >": "<message a='/'><b/><n/></message  >",
	} {
		got := AppendInside(nil, []byte(raw), []byte("<n/>"))
		if string(got) != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
		if _, err := One(got); err != nil {
			t.Errorf("%s: %s: %v", raw, got, err)
		}
	}
}
