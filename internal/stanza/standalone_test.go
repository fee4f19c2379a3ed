package stanza_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

func TestAppendStandalone(t *testing.T) {
	for in, want := range map[string]string{
		"<iq/>": "<iq xmlns='jabber:client'/>",
		"<message to='a' xmlns=\"jabber:client\"><x xmlns='y'/></message>":         "<message to='a' xmlns=\"jabber:client\"><x xmlns='y'/></message>",
		"<message><x xmlns='y'/></message>":                                        "<message xmlns='jabber:client'><x xmlns='y'/></message>",
		"<message a='xmlns'>stream:</message>":                                     "<message xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' a='xmlns'>stream:</message>",
		"<stream:features/>":                                                       "<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'/>",
		"<stream:error xmlns:stream='http://etherx.jabber.org/streams' xmlns=''/>": "<stream:error xmlns:stream='http://etherx.jabber.org/streams' xmlns=''/>",
		"<iq id = 'a>' />":                                                         "<iq xmlns='jabber:client' id = 'a>' />",
	} {
		if got := string(stanza.AppendStandalone(nil, []byte(in))); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

// TestStandaloneIsTheSame: what is declared changes neither the element's parts nor its kind.
func TestStandaloneIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attr := rapid.SampledFrom([]string{"", " to='a@b/c'", " xmlns='jabber:client'", " xmlns:stream='http://etherx.jabber.org/streams'", " type=\"chat\"", " id='>'"})
		child := rapid.SampledFrom([]string{"", "<stream:x/>", "<body>stream:</body>", "<x xmlns='y'/>"})
		name := rapid.SampledFrom([]string{"message", "iq", "presence", "r"}).Draw(t, "name")
		one, two := attr.Draw(t, "attribute"), attr.Draw(t, "another")
		if one == two {
			two = ""
		}
		raw := "<" + name + one + two + ">" + child.Draw(t, "child") + "</" + name + ">"
		was, _, err := stanza.NewScanner(stanza.Limits{}).Next([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		alone := stanza.AppendStandalone(nil, []byte(raw))
		is, n, err := stanza.NewScanner(stanza.Limits{}).Next(alone)
		switch {
		case err != nil || n != len(alone):
			t.Fatalf("%s: %v", alone, err)
		case is.Kind != was.Kind, is.AttrString(is.To) != was.AttrString(was.To), is.AttrString(is.Type) != was.AttrString(was.Type), string(is.Get(is.Child)) != string(was.Get(was.Child)):
			t.Fatalf("%s became %s", raw, alone)
		}
	})
}
