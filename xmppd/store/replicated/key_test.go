package replicated

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// TestTextKeepsOrder: what becomes of keys has their order, is a path, and comes back.
func TestTextKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 12)
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		if rapid.Bool().Draw(t, "near") {
			b = append(slices.Clone(a), b...)
		}
		ta, tb := appendText(nil, a), appendText(nil, b)
		if bytes.Compare(a, b) != bytes.Compare(ta, tb) || bytes.HasPrefix(b, a) && !bytes.HasPrefix(tb, ta) {
			t.Fatalf("%q and %q became %q and %q", a, b, ta, tb)
		}
		if err := op.CheckPath(string(ta)); err != nil {
			t.Fatal(err)
		}
		if back, err := parseText(string(ta)); err != nil || !bytes.Equal(back, a) {
			t.Fatalf("%q came back as %q: %v", a, back, err)
		}
		if strings.Contains(string(ta)+string(tb), apart) {
			t.Fatalf("%q has what no text has", ta)
		}
	})
}

// TestLongestNames: the longest owners and keys of the worst bytes fit what the
// replicated state takes.
func TestLongestNames(t *testing.T) {
	worst := bytes.Repeat([]byte{0xff}, store.MaxKey)
	for n := range worst {
		path := pathOf(strings.Repeat("c", store.MaxCollection), worst[:n+1])
		if err := op.CheckPath(partPath(path, 99)); err != nil {
			t.Fatalf("key of %d bytes: %v", n+1, err)
		}
		if isShortened(path) != (n+1 > maxPlainKey) || isShortened(partPath(path, 7)) != isShortened(path) {
			t.Fatalf("key of %d bytes: shortened %v", n+1, isShortened(path))
		}
		if got, ok := cutPart(partPath(path, 7)); !ok || got != path {
			t.Fatalf("%q is part of %q, %v", partPath(path, 7), got, ok)
		}
		if _, ok := cutPart(path); ok {
			t.Fatalf("%q is no part", path)
		}
	}
	for n := range store.MaxOwner {
		if err := op.CheckRoot(rootOf(string(worst[:n+1]))); err != nil {
			t.Fatalf("owner of %d bytes: %v", n+1, err)
		}
	}
}

// TestBounds: no record of a range is outside of its bounds, and none that is in
// them and has its whole key in its path is outside of the range.
func TestBounds(t *testing.T) {
	long := bytes.Repeat([]byte{'k'}, maxPlainKey)
	var keys [][]byte
	for _, tail := range []string{"", "\x00", "a", "a\xff", "b", "\xff"} {
		keys = append(keys, []byte(tail), slices.Concat(long[1:], []byte(tail)), slices.Concat(long, []byte(tail)))
	}
	for _, from := range keys {
		for _, to := range append(keys, nil) {
			r := store.Range{From: from, To: to}
			low, high := bounds("c", r)
			for _, k := range keys {
				p := pathOf("c", k)
				if in := p >= low && p < high; in != inRange(k, r) && (!in || !isShortened(p)) {
					t.Fatalf("key %q at %q; range %+v, bounds %q to %q", k, p, r, low, high)
				}
			}
		}
	}
}

func TestParseTextRefuses(t *testing.T) {
	for _, s := range []string{" ", "~", "~~", "a ", " B", "  01", "~~F", "\x7f", "\x00", "ü"} {
		if got, err := parseText(s); err == nil {
			t.Errorf("%q is the text of %q", s, got)
		}
	}
}
