package stanza

import (
	"strings"
	"testing"

	"mellium.im/xmpp/jid"
	"pgregory.net/rapid"
)

func TestParseJID(t *testing.T) {
	for in, want := range map[string]JID{
		"localhost":                      {Domain: "localhost"},
		"a@b":                            {"a", "b", ""},
		"a@b/c":                          {"a", "b", "c"},
		"b/c":                            {"", "b", "c"},
		"a@b/c@d/e":                      {"a", "b", "c@d/e"},
		"a@b/ c d":                       {"a", "b", " c d"},
		"Juliet@Example.COM/Balcony":     {"juliet", "example.com", "Balcony"},
		"fußball@example.com":            {"fußball", "example.com", ""},
		"a@example.com.":                 {"a", "example.com", ""},
		"a@[::1]/x":                      {"a", "[::1]", "x"},
		"a@127.0.0.1":                    {"a", "127.0.0.1", ""},
		"a@xn--bcher-kva.example":        {"a", "bücher.example", ""},
		strings.Repeat("a", 1023) + "@b": {strings.Repeat("a", 1023), "b", ""},
	} {
		if got, err := ParseJID(in); err != nil || got != want {
			t.Errorf("%.40q: %+v %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "@b", "a@", "a@b/", "/c", "a b@c", "a\"@b", "a&@b", "a'@b", "a:@b", "a<@b", "a@b@c", "a@b\x00", "a\xff@b", "a@b/\x01", "a@b/\xff",
		strings.Repeat("a", 1024) + "@b", "a@" + strings.Repeat("b", 1024), "a@b/" + strings.Repeat("c", 1024),
	} {
		if got, err := ParseJID(in); err == nil {
			t.Errorf("%.40q gave %+v", in, got)
		}
	}
}

// TestJIDFastPath: what the fast path takes is what RFC 7622 makes of it.
func TestJIDFastPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`([a-z0-9._-]{0,4}@)?[a-z0-9.-]{0,8}(xn--)?[a-z0-9_.-]{0,4}(/[!-~]{0,5})?`).Draw(t, "jid")
		got, ok := parseASCII(in)
		if !ok {
			return
		}
		want, err := jid.Parse(in)
		if err != nil || got != (JID{want.Localpart(), want.Domainpart(), want.Resourcepart()}) {
			t.Fatalf("%q: %+v, mellium says %v %v", in, got, want, err)
		}
	})
}

func TestJIDParts(t *testing.T) {
	j := JID{"a", "b", "c"}
	if j.String() != "a@b/c" || j.Bare().String() != "a@b" || j.IsBare() || !j.Bare().IsBare() || j.IsZero() || !(JID{}).IsZero() || (JID{Domain: "b"}).String() != "b" {
		t.Error(j)
	}
}
