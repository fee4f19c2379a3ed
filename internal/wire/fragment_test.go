package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPartsMakeTheElementAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		el := []byte("<a>" + strings.Repeat("<b>ü</b>", rapid.IntRange(1, 3000).Draw(t, "n")) + "</a>")
		a := NewAssembler(len(el), 2)
		limit := rapid.IntRange(0, 9000).Draw(t, "limit")
		parts := Split(el, limit, rapid.SampledFrom([]string{"e1", strings.Repeat("'", maxPartID)}).Draw(t, "id"))
		if len(parts) == 1 {
			if !bytes.Equal(parts[0], el) {
				t.Fatal("changed")
			}
			return
		}
		for i, p := range parts {
			if len(p) > max(limit, minPart) {
				t.Fatalf("a part of %d bytes, want at most %d", len(p), limit)
			}
			accepted(t, p)
			got, done, err := a.Add("a@b/c", p)
			if err != nil || done != (i == len(parts)-1) || done && !bytes.Equal(got, el) {
				t.Fatalf("part %d: %v %v", i, done, err)
			}
		}
		if len(a.senders) != 0 {
			t.Fatal("something was left open")
		}
	})
}

// element makes one that takes several parts.
func element(i int) []byte {
	return []byte(fmt.Sprintf("<a n='%d'>%s</a>", i, strings.Repeat("x", 3000)))
}

// put adds parts and returns the element that the last one completes.
func put(t *testing.T, a *Assembler, from string, parts ...[]byte) ([]byte, error) {
	t.Helper()
	for i, p := range parts {
		el, done, err := a.Add(from, p)
		if err != nil {
			return nil, err
		}
		if done != (i == len(parts)-1) {
			t.Fatalf("part %d of %d: done %v", i, len(parts), done)
		}
		if done {
			return el, nil
		}
	}
	return nil, nil
}

func TestAssemblerTakesPartsInOrderOnly(t *testing.T) {
	parts := Split(element(1), 1024, "e")
	other := Split(element(2), 1024, "f")
	a := NewAssembler(10_000, 4)
	if _, err := put(t, a, "s", parts[1]); err == nil {
		t.Error("began with the second part")
	}
	if _, _, err := a.Add("s", parts[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, a, "s", parts[2]); err == nil {
		t.Error("a part was left out")
	}
	if _, err := put(t, a, "s", parts[1]); err == nil {
		t.Error("an element went on behind its error")
	}
	// Two elements of one sender and the same id of another may interleave.
	for i := range parts {
		for from, p := range map[string][]byte{"s": parts[i], "t": parts[i], "u": other[i]} {
			if _, done, err := a.Add(from, p); err != nil || done != (i == len(parts)-1) {
				t.Fatalf("part %d of %s: %v %v", i, from, done, err)
			}
		}
	}
	// Part 0 begins anew: a sender that lost its connection sends all again.
	if _, _, err := a.Add("s", parts[0]); err != nil {
		t.Fatal(err)
	}
	if el, err := put(t, a, "s", parts...); err != nil || !bytes.Equal(el, element(1)) {
		t.Errorf("sent again: %v", err)
	}
}

func TestAssemblerRefuses(t *testing.T) {
	for _, in := range []string{
		"<part/>", "<part xmlns='" + NS + "' n='0' of='1'/>", "<part xmlns='" + NS + "' id='a' of='1'/>", "<part xmlns='" + NS + "' id='a' n='1' of='1'/>",
		"<part xmlns='" + NS + "' id='a' n='0' of='0'/>", "<part xmlns='" + NS + "' id='a' n='0' of='1'>?</part>",
		"<part xmlns='" + NS + "' id='a' n='0' of='1'></part>",                 // no element
		"<part xmlns='" + NS + "' id='a' n='0' of='1'>PGEvPjxhLz4=</part>",     // <a/><a/>
		"<part xmlns='" + NS + "' id='a' n='0' of='1'>PGE+</part>",             // <a>
		"<part xmlns='" + NS + "' id='a' n='0' of='1'>PGE+JmI7PC9hPg==</part>", // <a>&b;</a>
		"<part xmlns='" + NS + "' id='a' n='0' of='1'>PGE+/zwvYT4=</part>",     // <a>\xff</a>
	} {
		if el, done, err := NewAssembler(100, 1).Add("s", []byte(in)); err == nil {
			t.Errorf("%s: %q %v", in, el, done)
		}
	}
}

func TestAssemblerIsBounded(t *testing.T) {
	a := NewAssembler(2000, 2)
	if _, err := put(t, a, "s", Split(element(1), 1024, "e")...); err == nil {
		t.Fatal("an element above the limit was accepted")
	}
	for _, id := range []string{"1", "2", "3"} {
		if _, _, err := a.Add("s", Split(element(1), 1024, id)[0]); err != nil {
			t.Fatal(err)
		}
	}
	if open := a.senders["s"].open; len(open) != 2 || open[0].id != "2" {
		t.Fatalf("%d elements open, want the newest 2", len(open))
	}
	first := Split(element(1), 1024, "x")[0]
	for i := range 3 * maxSenders {
		if _, _, err := a.Add(fmt.Sprint("s", i), first); err != nil {
			t.Fatal(err)
		}
	}
	if _, kept := a.senders[fmt.Sprint("s", 3*maxSenders-1)]; !kept || len(a.senders) != maxSenders {
		t.Fatalf("%d senders kept, the newest: %v", len(a.senders), kept)
	}
	a.Forget(fmt.Sprint("s", 3*maxSenders-1))
	if len(a.senders) != maxSenders-1 {
		t.Fatal("not forgotten")
	}
}

// TestAssemblerHoldsLittle: what senders leave unfinished is bounded in bytes, and who sends goes on.
func TestAssemblerHoldsLittle(t *testing.T) {
	const most = 8000
	a := NewAssembler(4000, 4)
	a.HoldAtMost(most)
	parts := Split(element(1), 1024, "x")
	for i := range 50 {
		for _, p := range parts[:3] {
			if _, _, err := a.Add(fmt.Sprint("gone", i), p); err != nil {
				t.Fatal(err)
			}
			held := 0
			for _, s := range a.senders {
				for _, e := range s.open {
					held += cap(e.data)
				}
			}
			if held != a.held || held > most {
				t.Fatalf("%d bytes are held, counted as %d; the bound is %d", held, a.held, most)
			}
		}
	}
	if el, err := put(t, a, "works", parts...); err != nil || len(el) == 0 {
		t.Errorf("another sender's element: %q, %v", el, err)
	}
	for len(a.senders) > 0 {
		a.dropSilent()
	}
	if a.held != 0 {
		t.Errorf("%d bytes are counted as held, of nothing", a.held)
	}
}
