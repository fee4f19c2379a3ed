package hostile

import (
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// TestHostileCharacters: every class of bytes that is no UTF-8, and of characters that XML 1.0
// does not have, written out or as references, in text, values and names (RFC 6120 section 11.6).
func TestHostileCharacters(t *testing.T) {
	s := xmppraw.Start(t)
	by := chat(t, s)
	xmppraw.Online(t, s, "carol", "victim")
	noUTF8 := []attack{
		{"overlong slash", "\xc0\xaf", ""},
		{"overlong NUL", "\xc0\x80", ""},
		{"overlong of three bytes", "\xe0\x80\xaf", ""},
		{"overlong of four bytes", "\xf0\x80\x80\xaf", ""},
		{"surrogate", "\xed\xa0\x80", ""},
		{"pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80", ""},
		{"beyond the last character", "\xf4\x90\x80\x80", ""},
		{"five bytes", "\xf8\x88\x80\x80\x80", ""},
		{"continuation alone", "\x80", ""},
		{"truncated, two bytes", "\xc3", ""},
		{"truncated, three bytes", "\xe2\x82", ""},
		{"truncated, four bytes", "\xf0\x9f\x98", ""},
		{"never a byte of UTF-8", "\xff", ""},
		{"UTF-16", "\xff\xfea\x00", ""},
		{"Latin-1", "caf\xe9 cr\xe8me", ""},
	}
	noChar := []attack{
		{"NUL", "\x00", ""},
		{"control U+0001", "\x01", ""},
		{"control U+000B", "\x0b", ""},
		{"control U+001F", "\x1f", ""},
		{"noncharacter U+FFFE", "\ufffe", ""},
		{"noncharacter U+FFFF", "\uffff", ""},
	}
	references := []attack{
		{"reference to NUL", "&#0;", ""},
		{"reference to U+0001", "&#1;", ""},
		{"reference to a surrogate", "&#xD800;", ""},
		{"reference to U+FFFE", "&#xFFFE;", ""},
		{"reference beyond the last character", "&#x110000;", ""},
		{"reference that overflows", "&#4294967361;", ""},
		{"negative reference", "&#-1;", ""},
		{"empty reference", "&#;", ""},
		{"empty hexadecimal reference", "&#x;", ""},
		{"upper-case X", "&#X41;", ""},
		{"reference without end", "&#65 ", ""},
	}
	t.Run("attacks", func(t *testing.T) {
		for where, around := range map[string][2]string{
			"text":           {"<message to='" + victim + "'><body>", "</body></message>"},
			"CDATA":          {"<message to='" + victim + "'><body><![CDATA[", "]]></body></message>"},
			"value":          {"<message to='" + victim + "' id='", "'/>"},
			"address":        {"<message to='carol", "@" + xmppraw.Domain + "'/>"},
			"name":           {"<message to='" + victim + "'><a", "/></message>"},
			"namespace":      {"<message to='" + victim + "'><a xmlns='u", "'/></message>"},
			"between":        {"<presence/>", "<presence/>"},
			"text after TLS": {"<message to='" + victim + "'><body>", "</body></message>"},
		} {
			t.Run(where, func(t *testing.T) {
				from := stage(bound)
				if where == "text after TLS" {
					from = boundTLS
				}
				fill := func(as []attack, want string) {
					var out []attack
					for _, a := range as {
						out = append(out, attack{a.name, around[0] + a.send + around[1], want})
					}
					run(t, s, from, by, out)
				}
				bytes := "unsupported-encoding"
				if where == "between" {
					bytes = "not-well-formed"
				}
				fill(noUTF8, bytes)
				fill(noChar, "not-well-formed")
				if where != "CDATA" {
					fill(references, "not-well-formed")
				}
			})
		}
	})
}
