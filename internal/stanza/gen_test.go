package stanza

import (
	"strings"

	"pgregory.net/rapid"
)

// document draws a well-formed element in restricted XML.
func document(t *rapid.T) string {
	var b strings.Builder
	element(t, &b, 0, []string{""})
	return b.String()
}

func name(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "message", "iq", "body", "to", "é", "x-y.z_1", "ß"}).Draw(t, "name")
}

func space(t *rapid.T, atLeast int) string {
	return rapid.StringOfN(rapid.SampledFrom([]rune(" \t\r\n")), atLeast, atLeast+1, -1).Draw(t, "space")
}

func chars(t *rapid.T, extra ...string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(append([]string{
		"text", " ", "\n", "\r\n", "\t", "]", "]]", ">", "é", "漢", "\U0001F600", "&amp;", "&lt;", "&gt;", "&apos;", "&quot;", "&#65;", "&#x1F600;", "&#13;", "&#10;",
	}, extra...)), 0, 4).Draw(t, "text"), ".")
}

// element writes one; prefixes are those in scope.
func element(t *rapid.T, b *strings.Builder, depth int, prefixes []string) {
	used := map[string]bool{}
	var attrs strings.Builder
	attr := func(n, v string) {
		if used[n] {
			return
		}
		used[n] = true
		q := rapid.SampledFrom([]string{"'", `"`}).Draw(t, "quote")
		attrs.WriteString(space(t, 1) + n + space(t, 0) + "=" + space(t, 0) + q + strings.ReplaceAll(v, q, "") + q)
	}
	for range rapid.IntRange(0, 2).Draw(t, "declarations") {
		// Each prefix has one namespace wherever it is declared.
		p := rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "declared")
		n := "xmlns"
		if p != "" {
			n = "xmlns:" + p
			prefixes = append(prefixes[:len(prefixes):len(prefixes)], p+":")
		}
		attr(n, "urn:"+p+"&amp;"+rapid.SampledFrom([]string{"1", "2"}).Draw(t, "uri")+p)
	}
	for range rapid.IntRange(0, 2).Draw(t, "attrs") {
		attr(rapid.SampledFrom(prefixes).Draw(t, "prefix")+name(t), chars(t))
	}
	n := rapid.SampledFrom(prefixes).Draw(t, "prefix") + name(t)
	b.WriteString("<" + n + attrs.String())
	if depth == 3 || rapid.Bool().Draw(t, "empty") {
		b.WriteString(space(t, 0) + "/>")
		return
	}
	b.WriteString(space(t, 0) + ">")
	for range rapid.IntRange(0, 3).Draw(t, "content") {
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			b.WriteString(strings.ReplaceAll(chars(t, "'", `"`), "]]>", "") + ".") // neighbours must not make "]]>" together
		case 1:
			b.WriteString("<![CDATA[" + strings.ReplaceAll(rapid.StringOfN(rapid.SampledFrom([]rune("x<>&]é ")), 0, 6, -1).Draw(t, "cdata"), "]]>", "") + "]]>")
		case 2:
			element(t, b, depth+1, prefixes)
		}
	}
	b.WriteString("</" + n + space(t, 0) + ">")
}

// damaged changes a few bytes of s, or none.
func damaged(t *rapid.T, s string) string {
	b := []byte(s)
	for range rapid.IntRange(0, 2).Draw(t, "damage") {
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		with := []byte(rapid.SampledFrom([]string{"", "<", ">", "&", ";", "'", `"`, "/", "!", "?", "]", ":", "=", " ", "a", "\x00", "\x80", "\xc3", "\xff", "é", "<!--", "<?x?>", "&b;"}).Draw(t, "with"))
		to := min(len(b), at+rapid.IntRange(0, 3).Draw(t, "dropped"))
		if b = append(append(append([]byte(nil), b[:at]...), with...), b[to:]...); len(b) == 0 {
			break
		}
	}
	return string(b)
}
