package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestOverlayLikeAMap: roots with few objects and with many, changed again and again, and
// a newer generation merged into an older one, hold what a map holds, and count the same bytes.
func TestOverlayLikeAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	want := make(map[string]object)
	fill := func(o *overlay) {
		for i := range 400 {
			root := fmt.Appendf(nil, "root%d", rng.IntN(3))
			path := rng.IntN(few)
			if string(root) == "root0" {
				path = rng.IntN(5 * few)
			}
			key := appendKey(nil, string(root), fmt.Sprint("path", path))
			obj := object{version: uint64(i), value: make([]byte, rng.IntN(9)), deleted: rng.IntN(4) == 0}
			o.set(o.setRevision(root, uint64(i)), key, obj)
			want[string(key)] = obj
		}
	}
	same := func(o *overlay) {
		t.Helper()
		n := 0
		o.each(func(c *changed) {
			n++
			if w, ok := want[c.key]; !ok || w.version != c.version {
				t.Errorf("%q has version %d, want %d", c.key, c.version, w.version)
			}
		})
		if n != len(want) {
			t.Errorf("%d objects, want %d", n, len(want))
		}
		bytes := int64(0)
		for root := range o.roots {
			bytes += int64(len(root)) + objectOverhead
		}
		for key, w := range want {
			bytes += int64(len(key)+len(w.value)) + objectOverhead
			got, ok := o.object([]byte(key))
			if !ok || got.version != w.version || got.deleted != w.deleted {
				t.Errorf("%q: %+v, %v; want %+v", key, got, ok, w)
			}
		}
		if o.bytes != bytes {
			t.Errorf("%d bytes, want %d", o.bytes, bytes)
		}
	}
	older := newOverlay()
	fill(older)
	same(older)
	if _, ok := older.object([]byte("root0\x00none")); ok {
		t.Error("an object is there that nobody put")
	}
	counted := older.bytes
	newer := newOverlay()
	fill(newer)
	counted += newer.bytes
	older.merge(newer)
	if older.bytes != counted {
		t.Errorf("%d bytes count until a flush succeeds, want %d", older.bytes, counted)
	}
	total := int64(0)
	for root := range older.roots {
		total += int64(len(root)) + objectOverhead
	}
	for key, w := range want {
		total += int64(len(key)+len(w.value)) + objectOverhead
	}
	older.bytes = total
	same(older)
	for name, r := range older.roots {
		if many := len(r.objects) > few; many != (r.places != nil) || many != (name == "root0") {
			t.Errorf("%s: %d objects, a table: %v", name, len(r.objects), r.places != nil)
		}
		list := r.sorted(nil)
		for i := 1; i < len(list); i++ {
			if list[i-1].key >= list[i].key {
				t.Errorf("%q stands before %q", list[i-1].key, list[i].key)
			}
		}
	}
}
