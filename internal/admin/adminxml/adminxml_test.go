package adminxml

import (
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

func TestRoundTrip(t *testing.T) {
	for _, text := range []string{"", "root", `{"a":"<&'\""}`, "grüße  "} {
		command, got, err := Parse(Append(nil, CmdWhere, text))
		if err != nil || command != CmdWhere || got != text {
			t.Errorf("%q: %q %q %v", text, command, got, err)
		}
	}
	for _, el := range []string{`<where xmlns='urn:other'/>`, `<where/>`, `<where xmlns='urn:rosterdb:admin:1'><x/></where>`, ``} {
		if _, _, err := Parse([]byte(el)); err == nil {
			t.Errorf("%s was accepted", el)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Append(nil, CmdBootstrap, `{"version":1}`))
	f.Add([]byte(`<status xmlns='urn:rosterdb:admin:1'><![CDATA[groups]]></status>`))
	f.Add([]byte(`<a:where xmlns:a='urn:rosterdb:admin:1'>&#x41;</a:where>`))
	f.Fuzz(func(t *testing.T, el []byte) {
		st, n, err := stanza.NewScanner(stanza.Limits{}).Next(el)
		if err != nil || st == nil || n != len(el) {
			return // no server would pass it on
		}
		command, text, err := Parse(st.Raw)
		if err != nil {
			return
		}
		again, same, err := Parse(Append(nil, command, text))
		if err != nil || again != command || same != text {
			t.Fatalf("%q %q became %q %q, %v", command, text, again, same, err)
		}
	})
}
